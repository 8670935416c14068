#include "pictures.h"

#include <string.h>

static unsigned long number(const unsigned char *bytes, int count, int big_endian) {
    unsigned long value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[big_endian ? i : count - 1 - i];
    return value;
}

int picture_exif_orientation(const unsigned char *bytes, size_t count) {
    // JPEG's marker has it, PNG's and WebP's chunks should not.
    if (count >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) {
        bytes += 6;
        count -= 6;
    }
    if (count < 8) return 1;
    int big_endian = memcmp(bytes, "MM\0*", 4) == 0;
    if (!big_endian && memcmp(bytes, "II*\0", 4) != 0) return 1;
    unsigned long start = number(bytes + 4, 4, big_endian);
    if (start > count - 2) return 1;
    unsigned long entries = number(bytes + start, 2, big_endian);
    const unsigned char *entry = bytes + start + 2, *end = bytes + count;
    for (; entries > 0 && end - entry >= 12; entries--, entry += 12) {
        if (number(entry, 2, big_endian) != 0x0112) continue;
        // A byte, a short or a long, by the standard a short.
        unsigned long type = number(entry + 2, 2, big_endian);
        int size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
        unsigned long value = number(entry + 8, size, big_endian);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
