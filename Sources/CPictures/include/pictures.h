#pragma once
#include <stddef.h>

// Pictures in memory, decoded by the library of their format into bytes as their samples are: no gamma, no colour
// management. libpng and libjpeg report errors by a jump that must not cross Swift: each function here jumps within
// itself only.

enum picture_alpha { PICTURE_OPAQUE, PICTURE_STRAIGHT, PICTURE_PREMULTIPLIED };

struct picture {
    unsigned width, height;
    // Bytes of a pixel: 1 grey, 2 grey and alpha, 3 red, green and blue, 4 these and alpha.
    int components;
    // Whether it may have more than shades of grey.
    int colour;
    // A `picture_alpha`; opaque pictures may have a component of alpha, which then means nothing.
    int alpha;
    // How the picture is to be turned, 1 … 8 as in EXIF; known only after the pixels were read.
    int orientation;
};

// Room for a sentence of a library.
#define PICTURE_TEXT 1024

// Each describes the picture in `bytes`, and reads its pixels where `pixels` is not NULL: width × height × components
// bytes, as a call without them found. Return 0, and the reason in `text`, where the file is damaged or cut, or of a
// kind that cannot be read. What a library only warns of is no damage.
int picture_read_png(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                     char *text);
int picture_read_jpeg(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                      char *text);
int picture_read_webp(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                      char *text);
int picture_read_tiff(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                      char *text);

// The orientation that EXIF data give, 1 where they are damaged or give none.
int picture_exif_orientation(const unsigned char *bytes, size_t count);
