#include "pictures.h"

#include <stdio.h>
#include <string.h>
#include <tiffio.h>

// A file in memory, and the first error that libtiff had with it.
struct tiff_reading {
    const unsigned char *bytes;
    size_t count, position;
    char *text;
};

static tmsize_t read_bytes(thandle_t handle, void *target, tmsize_t count) {
    struct tiff_reading *reading = handle;
    size_t left = reading->position < reading->count ? reading->count - reading->position : 0;
    size_t size = (size_t)count < left ? (size_t)count : left;
    memcpy(target, reading->bytes + (left ? reading->position : 0), size);
    reading->position += size;
    return (tmsize_t)size;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle;
    (void)bytes;
    (void)count;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    struct tiff_reading *reading = handle;
    reading->position = offset + (whence == SEEK_CUR ? reading->position : whence == SEEK_END ? reading->count : 0);
    return reading->position;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle) { return ((struct tiff_reading *)handle)->count; }

static void keep_error(thandle_t handle, const char *place, const char *format, va_list arguments) {
    (void)place;
    struct tiff_reading *reading = handle;
    if (reading && reading->text[0] == 0) vsnprintf(reading->text, PICTURE_TEXT, format, arguments);
}

// Why TIFFRGBAImage would give other values than the file's, or NULL.
static const char *unreadable(TIFF *tif, int grey, int alpha) {
    uint16_t format = SAMPLEFORMAT_UINT, bits = 1, samples = 1;
    TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tif, TIFFTAG_BITSPERSAMPLE, &bits);
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) return "its samples are floats or have a sign";
    if (grey && samples > 2) return "it has more than two samples a pixel, and is not said to be colour";
    if (grey && alpha && bits != 8) return "it is grey with transparency, but not of 8 bits";
    return NULL;
}

static int read_open(TIFF *tif, struct picture *picture, unsigned char *pixels, char *text) {
    uint32_t width = 0, height = 0;
    uint16_t photometric = PHOTOMETRIC_RGB, extras = 0, turn = 1, *kinds = NULL;
    TIFFGetField(tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tif, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetField(tif, TIFFTAG_PHOTOMETRIC, &photometric);
    TIFFGetField(tif, TIFFTAG_ORIENTATION, &turn);
    TIFFGetFieldDefaulted(tif, TIFFTAG_EXTRASAMPLES, &extras, &kinds);
    int grey = photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
    int kind = extras > 0 ? kinds[0] : EXTRASAMPLE_UNSPECIFIED;
    const char *reason = unreadable(tif, grey, kind != EXTRASAMPLE_UNSPECIFIED);
    if (reason) {
        snprintf(text, PICTURE_TEXT, "%s", reason);
        return 0;
    }
    picture->width = width;
    picture->height = height;
    picture->components = 4;
    picture->colour = !grey;
    // libtiff multiplies colours by alpha, but not greys.
    picture->alpha = kind == EXTRASAMPLE_UNSPECIFIED         ? PICTURE_OPAQUE
        : grey && kind == EXTRASAMPLE_UNASSALPHA ? PICTURE_STRAIGHT
                                                 : PICTURE_PREMULTIPLIED;
    picture->orientation = turn >= 1 && turn <= 8 ? turn : 1;
    if (!pixels) return 1;
    TIFFRGBAImage image;
    char message[1024] = "";
    if (!TIFFRGBAImageOK(tif, message) || !TIFFRGBAImageBegin(&image, tif, 1, message)) {
        if (text[0] == 0) snprintf(text, PICTURE_TEXT, "%s", message);
        return 0;
    }
    // As it is stored: turned afterwards, as pictures of the other formats are.
    image.req_orientation = image.orientation;
    int done = TIFFRGBAImageGet(&image, (uint32_t *)pixels, width, height);
    TIFFRGBAImageEnd(&image);
    return done;
}

int picture_read_tiff(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                      char *text) {
    struct tiff_reading reading = {bytes, count, 0, text};
    text[0] = 0;
    TIFFSetWarningHandler(NULL);
    TIFFSetErrorHandler(NULL);
    TIFFSetErrorHandlerExt(keep_error);
    // "m": by the functions, not by a map of the file.
    TIFF *tif =
      TIFFClientOpen("TIFF", "rm", &reading, read_bytes, write_nothing, seek, close_nothing, size_of, NULL, NULL);
    int done = tif && read_open(tif, picture, pixels, text);
    if (tif) TIFFClose(tif);
    if (!done && text[0] == 0) snprintf(text, PICTURE_TEXT, "its TIFF data are cut or damaged");
    return done;
}
