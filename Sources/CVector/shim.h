#pragma once

#include <stdbool.h>
#include <stddef.h>

// What Swift's SIMD types lack: square roots of whole vectors, permutations of two vectors, and products kept in registers.

typedef float float8 __attribute__((ext_vector_type(8)));
typedef float float16 __attribute__((ext_vector_type(16)));
typedef float unalignedFloat16 __attribute__((ext_vector_type(16), aligned(4)));

/// √x of eight values, each correctly rounded. (SIMD8.squareRoot() takes each lane by itself, through the C library where errno is
/// concerned.)
static inline float8 squareRoots(float8 x) { return __builtin_elementwise_sqrt(x); }

/// The values at even places of a, then of b.
static inline float16 evenPlaces(float16 a, float16 b) {
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

/// The values at odd places of a, then of b.
static inline float16 oddPlaces(float16 a, float16 b) {
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/// Rows of a product that are summed at a time: as many as the registers hold (AVX-512 has 32 of 16 values, AVX2 16 of 8).
#ifdef __AVX512F__
enum { rowsAtATime = 8 };
#else
enum { rowsAtATime = 4 };
#endif

/// Asks for the cache line at an address, whether there is memory or not.
static inline void prefetch(const float *address) { __builtin_prefetch(address); }

/// sums[r] += Σ a[r · rowStep + k · step] · b[16k ..< 16k + 16] over k < count; with `ahead` the values so far from a's are fetched.
static inline __attribute__((always_inline)) void addToRows(
    float16 sums[rowsAtATime], const float *a, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t count, const float *b, ptrdiff_t ahead) {
    for (ptrdiff_t k = 0; k < count; k++) {
        if (ahead) prefetch(a + ahead + k * step);
        const float16 row = *(const unalignedFloat16 *)(b + 16 * k);
#pragma unroll
        for (int r = 0; r < rowsAtATime; r++) {
            const float16 factor = a[r * rowStep + k * step];
#ifdef __FMA__
            sums[r] = __builtin_elementwise_fma(factor, row, sums[r]);
#else
            sums[r] += factor * row;
#endif
        }
    }
}

/// c[r] (+)= Σ_k A[r, k] · b[k] for `rowsAtATime` rows, b and c of 16 columns; the columns of A lie in panels of 16, `panelStep` apart.
static inline void multiplyRows(const float *a, ptrdiff_t panelStep, ptrdiff_t panels, const float *b, float *c, bool adding) {
    float16 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = adding ? *(const unalignedFloat16 *)(c + 16 * r) : (float16)0;
    for (ptrdiff_t panel = 0; panel < panels; panel++) addToRows(sums, a + panel * panelStep, 16, 1, 16, b + panel * 256, 0);
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) *(unalignedFloat16 *)(c + 16 * r) = sums[r];
}

/// c[r] = Σ_k A[k, r] · b[k] over `count` rows of A and b, for `rowsAtATime` of the 16 columns of A. The next A lies
/// `ahead`.
static inline void multiplyColumns(const float *a, const float *b, ptrdiff_t count, float *c, ptrdiff_t ahead) {
    float16 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = (float16)0;
    addToRows(sums, a, 1, 16, count, b, ahead);
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) *(unalignedFloat16 *)(c + 16 * r) = sums[r];
}
