#pragma once
// libjpeg reports errors by calling back, and expects not to be returned to: a jump out of C that must not cross Swift. So a
// picture is read by one function here, which jumps within itself only.
#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>

struct jpeg_reading {
    struct jpeg_error_mgr manager;
    jmp_buf place;
    char *text;
};

static void jpeg_give_up(j_common_ptr info) {
    struct jpeg_reading *reading = (struct jpeg_reading *)info->err;
    info->err->format_message(info, reading->text);
    longjmp(reading->place, 1);
}

// A warning, such as of a file that ends early, is an error here.
static void jpeg_on_message(j_common_ptr info, int level) {
    if (level < 0) jpeg_give_up(info);
}

// Reads the size of the JPEG file in `bytes` and whether it has colour; and, where `pixels` is not NULL, its pixels, row by row, as
// 1 or 3 bytes each (`channels`). Returns 0 with a sentence of the library in `text` (JMSG_LENGTH_MAX bytes) where the file is broken.
static inline int jpeg_read_picture(const unsigned char *bytes, unsigned long count, int channels, unsigned char *pixels,
                                    unsigned *width, unsigned *height, int *colour, char *text) {
    struct jpeg_decompress_struct info;
    struct jpeg_reading reading;
    reading.text = text;
    info.err = jpeg_std_error(&reading.manager);
    reading.manager.error_exit = jpeg_give_up;
    reading.manager.emit_message = jpeg_on_message;
    if (setjmp(reading.place)) {
        jpeg_destroy_decompress(&info);
        return 0;
    }
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, bytes, count);
    jpeg_read_header(&info, TRUE);
    *width = info.image_width;
    *height = info.image_height;
    *colour = info.num_components > 1;
    if (pixels) {
        info.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
        jpeg_start_decompress(&info);
        while (info.output_scanline < info.output_height) {
            JSAMPROW row = pixels + (size_t)info.output_scanline * info.output_width * channels;
            jpeg_read_scanlines(&info, &row, 1);
        }
        jpeg_finish_decompress(&info);
    }
    jpeg_destroy_decompress(&info);
    return 1;
}
