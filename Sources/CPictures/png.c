#include "pictures.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

struct png_reading {
    const unsigned char *next;
    size_t left;
    char *text;
};

static void give_up(png_structp png, png_const_charp text) {
    struct png_reading *reading = png_get_error_ptr(png);
    snprintf(reading->text, PICTURE_TEXT, "%s", text);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep target, size_t count) {
    struct png_reading *reading = png_get_io_ptr(png);
    if (count > reading->left) png_error(png, "it is cut, there are no more bytes");
    memcpy(target, reading->next, count);
    reading->next += count;
    reading->left -= count;
}

// The chunks of colour management and text are not looked at: neither they nor their damage change a sample.
static void skip_what_is_not_needed(png_structp png) {
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
    // The largest chunk of a kind that is skipped: as long as the file may be.
    png_set_chunk_malloc_max(png, 0);
}

int picture_read_png(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                     char *text) {
    struct png_reading reading = {bytes, count, text};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, give_up, ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        snprintf(text, PICTURE_TEXT, "libpng found no memory");
        png_destroy_read_struct(&png, NULL, NULL);
        return 0;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return 0;
    }
    png_set_read_fn(png, &reading, read_bytes);
    skip_what_is_not_needed(png);
    // Some writers give too small a window for deflate.
    png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    picture->width = png_get_image_width(png, info);
    picture->height = png_get_image_height(png, info);
    picture->components = png_get_channels(png, info);
    picture->colour = picture->components > 2;
    picture->alpha = picture->components % 2 == 0 ? PICTURE_STRAIGHT : PICTURE_OPAQUE;
    picture->orientation = 1;
    if (pixels) {
        size_t row = (size_t)picture->width * picture->components;
        for (; passes > 0; passes--) {
            for (size_t y = 0; y < picture->height; y++) png_read_row(png, pixels + y * row, NULL);
        }
        png_read_end(png, info);
        png_bytep exif;
        png_uint_32 size;
        if (png_get_eXIf_1(png, info, &size, &exif)) picture->orientation = picture_exif_orientation(exif, size);
    }
    png_destroy_read_struct(&png, &info, NULL);
    return 1;
}
