#include "pictures.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
// After jpeglib.h, which says what this library has.
#include <jerror.h>

struct jpeg_reading {
    struct jpeg_error_mgr manager;
    struct jpeg_progress_mgr progress;
    jmp_buf place;
    char *text;
};

static void give_up(j_common_ptr info) {
    struct jpeg_reading *reading = (struct jpeg_reading *)info->err;
    info->err->format_message(info, reading->text);
    longjmp(reading->place, 1);
}

// Of the warnings these say that pixels are lost: the file is cut or its coded data are damaged.
static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
        case JWRN_JPEG_EOF:
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_ARITH_BAD_CODE:
        case JWRN_MUST_RESYNC: give_up(info);
    }
}

// A small file may have many thousand scans, each of which goes over all of a large picture.
static void limit_scans(j_common_ptr info) {
    if (!info->is_decompressor || ((j_decompress_ptr)info)->input_scan_number <= 500) return;
    struct jpeg_reading *reading = (struct jpeg_reading *)info->err;
    snprintf(reading->text, PICTURE_TEXT, "it has more than 500 scans");
    longjmp(reading->place, 1);
}

// CMYK as Adobe stores it, each the complement of its ink, as red, green and blue.
static void convert(const JSAMPLE *row, unsigned width, unsigned char *pixels) {
    for (size_t x = 0; x < width; x++) {
        for (int c = 0; c < 3; c++) {
            unsigned ink = 255u - row[4 * x + c], white = row[4 * x + 3];
            pixels[3 * x + c] = (unsigned char)(white - (ink * white + 127) / 255);
        }
    }
}

static void read_rows(j_decompress_ptr info, const struct picture *picture, unsigned char *pixels) {
    int cmyk = info->out_color_space == JCS_CMYK;
    JSAMPARRAY inks = info->mem->alloc_sarray(
      (j_common_ptr)info, JPOOL_IMAGE, info->output_width * info->output_components, 1);
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = pixels + (size_t)info->output_scanline * picture->width * picture->components;
        if (cmyk) {
            jpeg_read_scanlines(info, inks, 1);
            convert(inks[0], picture->width, row);
        } else {
            jpeg_read_scanlines(info, &row, 1);
        }
    }
}

// Describes the picture and chooses what it is decoded to.
static void describe(j_decompress_ptr info, struct picture *picture) {
    int components = info->num_components;
    info->out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    picture->width = info->image_width;
    picture->height = info->image_height;
    picture->components = components == 1 ? 1 : 3;
    picture->colour = components > 1;
    picture->alpha = PICTURE_OPAQUE;
    picture->orientation = 1;
    for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next) {
        if (marker->data_length < 6 || memcmp(marker->data, "Exif\0\0", 6) != 0) continue;
        picture->orientation = picture_exif_orientation(marker->data, marker->data_length);
        break;
    }
}

int picture_read_jpeg(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                      char *text) {
    struct jpeg_decompress_struct info;
    struct jpeg_reading reading;
    memset(&info, 0, sizeof info);
    memset(&reading, 0, sizeof reading);
    reading.text = text;
    info.err = jpeg_std_error(&reading.manager);
    reading.manager.error_exit = give_up;
    reading.manager.emit_message = on_message;
    reading.progress.progress_monitor = limit_scans;
    if (setjmp(reading.place)) {
        jpeg_destroy_decompress(&info);
        return 0;
    }
    jpeg_create_decompress(&info);
    info.progress = &reading.progress;
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_mem_src(&info, bytes, count);
    jpeg_read_header(&info, TRUE);
    int known = info.num_components == 1 || info.num_components == 3 || info.num_components == 4;
    if (known) {
        describe(&info, picture);
        if (pixels) {
            jpeg_start_decompress(&info);
            read_rows(&info, picture, pixels);
            jpeg_finish_decompress(&info);
        }
    } else {
        snprintf(text, PICTURE_TEXT, "it has %d components, which are neither grey nor colour", info.num_components);
    }
    jpeg_destroy_decompress(&info);
    return known;
}
