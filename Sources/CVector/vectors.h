#pragma once

// What Swift's SIMD types lack: square roots of whole vectors, permutations of two vectors, and products kept in
// registers.

#include <stdbool.h>
#include <stddef.h>

typedef float float8 __attribute__((ext_vector_type(8)));
typedef float float16 __attribute__((ext_vector_type(16)));
typedef float unalignedFloat8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float unalignedFloat16 __attribute__((ext_vector_type(16), aligned(4)));

/// √x of eight values, each correctly rounded. (SIMD8.squareRoot() takes each lane by itself, through the C library
/// where errno is concerned.)
static inline float8 squareRoots(float8 x) { return __builtin_elementwise_sqrt(x); }

/// Transposes 16 × 16 values whose rows lie `step` apart; the result's lie one after another.
///
/// The place of a value has eight bits, four of the row and four of the column. Sorting two rows by the parity of the
/// column rotates them by one; four times exchanges row and column.
static inline void transpose16(const float *source, ptrdiff_t step, float *result) {
    float16 rows[16], sorted[16];
#pragma unroll
    for (int r = 0; r < 16; r++) rows[r] = *(const unalignedFloat16 *)(source + r * step);
#pragma unroll
    for (int times = 0; times < 4; times++) {
#pragma unroll
        for (int r = 0; r < 8; r++) {
            const float16 a = rows[2 * r], b = rows[2 * r + 1];
            sorted[r] = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            sorted[r + 8] = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        }
#pragma unroll
        for (int r = 0; r < 16; r++) rows[r] = sorted[r];
    }
#pragma unroll
    for (int r = 0; r < 16; r++) *(unalignedFloat16 *)(result + 16 * r) = rows[r];
}

/// Asks for the cache line at an address, whether there is memory or not.
static inline void prefetch(const float *address) { __builtin_prefetch(address); }

/// The same, into the second-level cache.
static inline void prefetchFar(const float *address) { __builtin_prefetch(address, 0, 2); }

/// The same for a line that is to be written: writes that miss the cache are served one after another, unless asked
/// for early.
static inline void prefetchForWriting(float *address) { __builtin_prefetch(address, 1); }

/// Rows of a product that are summed at a time: as many as the registers hold (AVX-512 has 32 of 16 values, AVX2 16
/// of 8).
#ifdef __AVX512F__
enum { rowsAtATime = 8 };
#else
enum { rowsAtATime = 4 };
#endif

/// Panels of a product whose sums are kept at a time, where it has as many: AVX-512 has registers for two.
#ifdef __AVX512F__
enum { panelsInRegisters = 2 };
#else
enum { panelsInRegisters = 1 };
#endif

/// Whether a sum of products is one instruction a term: without, BLAS, which chooses its kernels as it runs, is faster.
#if defined(__FMA__) || defined(__aarch64__)
enum { hasFusedProducts = 1 };
#else
enum { hasFusedProducts = 0 };
#endif

/// factor · row + sum, fused where the build's processor has that.
static inline __attribute__((always_inline)) float16 multiplyAdd16(float factor, float16 row, float16 sum) {
    return hasFusedProducts ? __builtin_elementwise_fma((float16)factor, row, sum) : (float16)factor * row + sum;
}
static inline __attribute__((always_inline)) float8 multiplyAdd8(float factor, float8 row, float8 sum) {
    return hasFusedProducts ? __builtin_elementwise_fma((float8)factor, row, sum) : (float8)factor * row + sum;
}

/// Cache lines that are wanted next: rows `step` apart, each of 1 << `logLines` lines. Without a `first`, none.
typedef struct {
    const float *first;
    ptrdiff_t step;
    ptrdiff_t logLines;
} WantedLines;

/// Fetches line `k` of those wanted, if there are.
static inline __attribute__((always_inline)) void prefetchWanted(WantedLines wanted, ptrdiff_t k) {
    if (!wanted.first) return;
    const ptrdiff_t line = k & (((ptrdiff_t)1 << wanted.logLines) - 1);
    prefetchFar(wanted.first + (k >> wanted.logLines) * wanted.step + 16 * line);
}

/// sums[r] += Σ a[r · rowStep + k · step] · b[16k ..< 16k + 16] over k < count; meanwhile `count` of the lines wanted
/// are fetched.
static inline __attribute__((always_inline)) void addToRows(
    float16 sums[rowsAtATime], const float *a, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t count, const float *b,
    WantedLines wanted) {
    for (ptrdiff_t k = 0; k < count; k++) {
        prefetchWanted(wanted, k);
        const float16 row = *(const unalignedFloat16 *)(b + 16 * k);
#pragma unroll
        for (int r = 0; r < rowsAtATime; r++) {
            sums[r] = multiplyAdd16(a[r * rowStep + k * step], row, sums[r]);
        }
    }
}
