"""The pictures that the tests train on."""

import numpy


def pictures(count=100, size=8):
    """Grey squares of different places, widths and shades: images that need no random numbers."""
    images = numpy.zeros((count, size, size, 1), numpy.uint8)
    for i in range(count):
        width = 2 + i % 3
        top, left = (i * 5) % (size - width + 1), (i * 3) % (size - width + 1)
        images[i, top:top + width, left:left + width, 0] = 100 + (i * 37) % 156
    return images


def labelled_pictures():
    """100 of them with labels and with vectors of two numbers beside them, by the names of the datasets."""
    count = numpy.arange(100)
    return {"images": pictures(), "labels": count % 3,
            "numbers": numpy.float32(numpy.stack([count % 7 / 7, numpy.cos(count)], 1))}
