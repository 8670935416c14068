"""The pictures that the tests train on."""

import numpy


def pictures(count=100, size=8, channels=1):
    """Squares of different places, widths and shades, grey ones or of three: images that need no random numbers."""
    images = numpy.zeros((count, size, size, channels), numpy.uint8)
    for i in range(count):
        width = 2 + i % 3
        top, left = (i * 5) % (size - width + 1), (i * 3) % (size - width + 1)
        for channel in range(channels):
            shade = 100 + (i * 37 + channel * 61) % 156
            images[i, top:top + width, left:left + width, channel] = shade
    return images


def labelled_pictures():
    """100 of them with labels and with vectors of two numbers beside them, by the names of the datasets."""
    count = numpy.arange(100)
    return {"images": pictures(), "labels": count % 3,
            "numbers": numpy.float32(numpy.stack([count % 7 / 7, numpy.cos(count)], 1))}
