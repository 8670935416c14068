#include "pictures.h"

#include <stdio.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

static int orientation(const WebPDemuxer *file) {
    WebPChunkIterator chunk;
    int found = 1;
    if (WebPDemuxGetChunk(file, "EXIF", 1, &chunk)) {
        found = picture_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    return found;
}

// The first picture of an animation.
static int read_first(const WebPData *data, const struct picture *picture, unsigned char *pixels) {
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options)) return 0;
    options.color_mode = MODE_RGBA;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(data, &options);
    unsigned char *frame;
    int time;
    int done = decoder && WebPAnimDecoderGetNext(decoder, &frame, &time);
    if (done) memcpy(pixels, frame, (size_t)picture->width * picture->height * 4);
    WebPAnimDecoderDelete(decoder);
    return done;
}

int picture_read_webp(const unsigned char *bytes, size_t count, struct picture *picture, unsigned char *pixels,
                      char *text) {
    WebPData data = {bytes, count};
    WebPDemuxer *file = WebPDemux(&data);
    WebPBitstreamFeatures features;
    if (!file || WebPGetFeatures(bytes, count, &features) != VP8_STATUS_OK) {
        snprintf(text, PICTURE_TEXT, "its WebP data are cut or damaged");
        WebPDemuxDelete(file);
        return 0;
    }
    picture->width = features.width;
    picture->height = features.height;
    picture->components = features.has_alpha || features.has_animation ? 4 : 3;
    picture->colour = 1;
    picture->alpha = picture->components == 4 ? PICTURE_STRAIGHT : PICTURE_OPAQUE;
    picture->orientation = orientation(file);
    WebPDemuxDelete(file);
    if (!pixels) return 1;
    size_t row = (size_t)picture->width * picture->components, size = row * picture->height;
    int done = features.has_animation ? read_first(&data, picture, pixels)
        : features.has_alpha          ? WebPDecodeRGBAInto(bytes, count, pixels, size, (int)row) != NULL
                                      : WebPDecodeRGBInto(bytes, count, pixels, size, (int)row) != NULL;
    if (!done) snprintf(text, PICTURE_TEXT, "its WebP data are cut or damaged");
    return done;
}
