#pragma once

// Products of matrices that lie in panels of 16 columns, a few rows at a time: see Panels.swift.

#include "vectors.h"

/// Writes sums to rows of 16, or adds them. Sums are begun at zero and added when they are whole: over thousands of
/// terms a sum of sums is several times as exact.
static inline __attribute__((always_inline)) void writeSums(const float16 sums[rowsAtATime], float *c, bool adding) {
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) {
        unalignedFloat16 *target = (unalignedFloat16 *)(c + 16 * r);
        *target = adding ? *target + sums[r] : sums[r];
    }
}

/// c[r] (+)= Σ_k A[r, k] · b[k] for `rowsAtATime` rows, b and c of 16 columns; the columns of A lie in panels of 16,
/// `panelStep` apart. With `ahead` the values so far from A's are fetched.
static inline void multiplyRows(const float *a, ptrdiff_t panelStep, ptrdiff_t panels, const float *b, float *c,
                                bool adding, ptrdiff_t ahead) {
    float16 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = (float16)0;
    for (ptrdiff_t panel = 0; panel < panels; panel++) {
        if (ahead) {
#pragma unroll
            for (int r = 0; r < rowsAtATime; r++) prefetchFar(a + panel * panelStep + ahead + 16 * r);
        }
        addToRows(sums, a + panel * panelStep, 16, 1, 16, b + panel * 256, (WantedLines){0});
    }
    writeSums(sums, c, adding);
}

/// c[r] (+)= Σ_k A[k, r] · b[k] over `count` rows of A and b, for `rowsAtATime` of the 16 columns of A, while as many
/// lines are fetched of those wanted, if there are.
static inline void multiplyColumns(const float *a, const float *b, ptrdiff_t count, float *c, bool adding,
                                   WantedLines wanted) {
    float16 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = (float16)0;
    addToRows(sums, a, 1, 16, count, b, wanted);
    writeSums(sums, c, adding);
}

/// The same for two panels of b, and of c, so far apart: a value of A is read once for both, and twice as many sums are
/// under way while the processor waits for each. `panelsInRegisters` says whether it has registers for them.
static inline void multiplyColumnsTwice(const float *a, const float *b, ptrdiff_t bStep, ptrdiff_t count, float *c,
                                        ptrdiff_t cStep, bool adding, WantedLines wanted) {
    float16 first[rowsAtATime], second[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) first[r] = second[r] = (float16)0;
    for (ptrdiff_t k = 0; k < count; k++) {
        prefetchWanted(wanted, k);
        const float16 row = *(const unalignedFloat16 *)(b + 16 * k);
        const float16 other = *(const unalignedFloat16 *)(b + bStep + 16 * k);
#pragma unroll
        for (int r = 0; r < rowsAtATime; r++) {
            first[r] = multiplyAdd16(a[16 * k + r], row, first[r]);
            second[r] = multiplyAdd16(a[16 * k + r], other, second[r]);
        }
    }
    writeSums(first, c, adding);
    writeSums(second, c + cStep, adding);
}

/// c[r] (+)= Σ_k a[r · rowStep + k · step] · b[k] over `count` rows of b, for `rowsAtATime` rows of c, both of 16
/// columns.
static inline void multiplyStrided(const float *a, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t count, const float *b,
                                   float *c, bool adding, WantedLines wanted) {
    float16 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = (float16)0;
    addToRows(sums, a, rowStep, step, count, b, wanted);
    writeSums(sums, c, adding);
}

/// The same with b and c of 8 columns.
static inline void multiplyStridedNarrow(const float *a, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t count,
                                         const float *b, float *c, bool adding) {
    float8 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = (float8)0;
    for (ptrdiff_t k = 0; k < count; k++) {
        const float8 row = *(const unalignedFloat8 *)(b + 8 * k);
#pragma unroll
        for (int r = 0; r < rowsAtATime; r++) sums[r] = multiplyAdd8(a[r * rowStep + k * step], row, sums[r]);
    }
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) {
        unalignedFloat8 *target = (unalignedFloat8 *)(c + 8 * r);
        *target = adding ? *target + sums[r] : sums[r];
    }
}

/// c[r] = Σ_m Σ_k a[m · blockStep + r · rowStep + k · step] · b[m · bStep + 16 k] over m < `blocks` and k < `count`,
/// for `rowsAtATime` rows of c, which has 16 columns, as b has.
static inline void multiplyBlocks(const float *a, ptrdiff_t blockStep, ptrdiff_t rowStep, ptrdiff_t step,
                                  ptrdiff_t blocks, ptrdiff_t count, const float *b, ptrdiff_t bStep, float *c) {
    float16 sums[rowsAtATime];
#pragma unroll
    for (int r = 0; r < rowsAtATime; r++) sums[r] = (float16)0;
    for (ptrdiff_t m = 0; m < blocks; m++) {
        addToRows(sums, a + m * blockStep, rowStep, step, count, b + m * bStep, (WantedLines){0});
    }
    writeSums(sums, c, false);
}
