// Products of matrices that lie in panels of 16 columns: see Panels.swift.

/// Rows come in groups of so many, which the registers hold (AVX-512 has 32 of 16 values, AVX2 16 of 8).
enum { rowsAtATime = ROWS_AT_A_TIME };

/// Rows of a product that are summed at a time where they are many, at most: the more sums are under way, the less the
/// processor waits for each. It is `rowsAtATime`, or 6 of 16 rows where the registers of AVX2 hold no 8.
enum { mostRowsOfTile = ROWS_OF_A_TILE };

/// Runs the statements for tiles of `rows` rows, a multiple of `rowsAtATime` or at least 32, as high as each other or
/// one higher, with the first row `row` of each and how many it has as the constant `height`.
#define EACH_TILE(rows, ...)                                                     \
    do {                                                                         \
        const ptrdiff_t tiles_ = ((rows) + mostRowsOfTile - 1) / mostRowsOfTile; \
        for (ptrdiff_t tile_ = 0; tile_ < tiles_; tile_++) {                     \
            const ptrdiff_t row = tile_ * (rows) / tiles_;                       \
            const ptrdiff_t height_ = (tile_ + 1) * (rows) / tiles_ - row;       \
            if (height_ == mostRowsOfTile) {                                     \
                enum { height = mostRowsOfTile };                                \
                __VA_ARGS__                                                      \
            } else if (height_ == mostRowsOfTile - 1) {                          \
                enum { height = mostRowsOfTile - 1 };                            \
                __VA_ARGS__                                                      \
            } else {                                                             \
                enum { height = mostRowsOfTile - 2 };                            \
                __VA_ARGS__                                                      \
            }                                                                    \
        }                                                                        \
    } while (0)

/// factor · row + sum, fused where the instruction set has that.
INLINE float16 multiplyAdd16(float factor, float16 row, float16 sum) {
    return FUSED_PRODUCTS ? __builtin_elementwise_fma((float16)factor, row, sum) : (float16)factor * row + sum;
}
INLINE float16 multiplyAddVectors(float16 a, float16 b, float16 sum) {
    return FUSED_PRODUCTS ? __builtin_elementwise_fma(a, b, sum) : a * b + sum;
}
INLINE float8 multiplyAdd8(float factor, float8 row, float8 sum) {
    return FUSED_PRODUCTS ? __builtin_elementwise_fma((float8)factor, row, sum) : (float8)factor * row + sum;
}

/// Cache lines that are wanted next: rows `step` apart, each of 1 << `logLines` lines. Without a `first`, none.
typedef struct {
    const float *first;
    ptrdiff_t step;
    ptrdiff_t logLines;
} WantedLines;
static const WantedLines noLines = {NULL, 0, 0};

/// Fetches line `k` of those wanted, if there are, or of those that lie so many values further.
INLINE void prefetchWantedFurther(WantedLines wanted, ptrdiff_t k, ptrdiff_t further) {
    if (!wanted.first) return;
    const ptrdiff_t line = k & (((ptrdiff_t)1 << wanted.logLines) - 1);
    prefetchFar(wanted.first + (k >> wanted.logLines) * wanted.step + 16 * line + further);
}
INLINE void prefetchWanted(WantedLines wanted, ptrdiff_t k) { prefetchWantedFurther(wanted, k, 0); }

// MARK: A few rows

/// sums[r] += Σ a[r · rowStep + k · step] · b[16k ..< 16k + 16] over k < count, for `height` rows; meanwhile `count` of
/// the lines wanted are fetched.
INLINE void addToRows(int height, float16 sums[mostRowsOfTile], const float *a, ptrdiff_t rowStep, ptrdiff_t step,
                      ptrdiff_t count, const float *b, WantedLines wanted) {
    for (ptrdiff_t k = 0; k < count; k++) {
        prefetchWanted(wanted, k);
        const float16 row = load16(b + 16 * k);
        UNROLL for (int r = 0; r < height; r++) {
            sums[r] = multiplyAdd16(a[r * rowStep + k * step], row, sums[r]);
        }
    }
}

/// Writes sums to rows of 16, or adds them. Sums are begun at zero and added when they are whole: over thousands of
/// terms a sum of sums is several times as exact.
INLINE void writeSums(int height, const float16 sums[mostRowsOfTile], float *c, bool adding) {
    UNROLL for (int r = 0; r < height; r++) {
        store16(c + 16 * r, adding ? load16(c + 16 * r) + sums[r] : sums[r]);
    }
}

/// c[r] (+)= Σ_k A[r, k] · b[k] for `height` rows, b and c of 16 columns; the columns of A lie in panels of 16,
/// `panelStep` apart. With `ahead` the values so far from A's are fetched.
INLINE void multiplyRows(int height, const float *a, ptrdiff_t panelStep, ptrdiff_t panels, const float *b, float *c,
                         bool adding, ptrdiff_t ahead) {
    float16 sums[mostRowsOfTile];
    UNROLL for (int r = 0; r < height; r++) sums[r] = (float16)0;
    for (ptrdiff_t panel = 0; panel < panels; panel++) {
        if (ahead) {
            UNROLL for (int r = 0; r < height; r++) prefetchFar(a + panel * panelStep + ahead + 16 * r);
        }
        addToRows(height, sums, a + panel * panelStep, 16, 1, 16, b + panel * 256, noLines);
    }
    writeSums(height, sums, c, adding);
}

/// c[r] (+)= Σ_k a[r · rowStep + k · step] · b[k] over `count` rows of b, for `height` rows of c, both of 16 columns.
INLINE void multiplyStrided(int height, const float *a, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t count,
                            const float *b, float *c, bool adding, WantedLines wanted) {
    float16 sums[mostRowsOfTile];
    UNROLL for (int r = 0; r < height; r++) sums[r] = (float16)0;
    addToRows(height, sums, a, rowStep, step, count, b, wanted);
    writeSums(height, sums, c, adding);
}

/// The same with b and c of 8 columns.
INLINE void multiplyStridedNarrow(const float *a, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t count, const float *b,
                                  float *c, bool adding) {
    float8 sums[rowsAtATime];
    UNROLL for (int r = 0; r < rowsAtATime; r++) sums[r] = (float8)0;
    for (ptrdiff_t k = 0; k < count; k++) {
        const float8 row = load(b + 8 * k, 8);
        UNROLL for (int r = 0; r < rowsAtATime; r++) sums[r] = multiplyAdd8(a[r * rowStep + k * step], row, sums[r]);
    }
    UNROLL for (int r = 0; r < rowsAtATime; r++) {
        store(c + 8 * r, adding ? load(c + 8 * r, 8) + sums[r] : sums[r], 8);
    }
}

/// Two panels of b, `bStep` apart, and of c: a value of A is read once for both, and twice as many sums are under way
/// while the processor waits for each.
INLINE void multiplyColumnsTwice(const float *a, const float *b, ptrdiff_t bStep, ptrdiff_t count, float *c,
                                 ptrdiff_t cStep, bool adding, WantedLines wanted) {
    float16 first[rowsAtATime], second[rowsAtATime];
    UNROLL for (int r = 0; r < rowsAtATime; r++) first[r] = second[r] = (float16)0;
    for (ptrdiff_t k = 0; k < count; k++) {
        prefetchWanted(wanted, k);
        const float16 row = load16(b + 16 * k), other = load16(b + bStep + 16 * k);
        UNROLL for (int r = 0; r < rowsAtATime; r++) {
            first[r] = multiplyAdd16(a[16 * k + r], row, first[r]);
            second[r] = multiplyAdd16(a[16 * k + r], other, second[r]);
        }
    }
    writeSums(rowsAtATime, first, c, adding);
    writeSums(rowsAtATime, second, c + cStep, adding);
}

// MARK: Panels

static void multiplyPanels(const float *a, ptrdiff_t panelStep, ptrdiff_t panels, const float *b, float *c,
                           ptrdiff_t rows, bool adding, ptrdiff_t ahead) {
    EACH_TILE(rows, multiplyRows(height, a + 16 * row, panelStep, panels, b, c + 16 * row, adding, ahead););
}

/// C (+)= Aᵀ B of one panel each, both of `count` rows; C has 16. Meanwhile the lines that are wanted are fetched.
static void multiplyTransposed(const float *a, const float *b, ptrdiff_t count, float *c, bool adding,
                               WantedLines wanted) {
    EACH_TILE(16, {
        multiplyStrided(height, a + row, 1, 16, count, b, c + 16 * row, adding, row == 0 ? wanted : noLines);
    });
}

/// The same for two panels of B and of C.
static void multiplyTransposedTwice(const float *a, const float *b, ptrdiff_t bStep, ptrdiff_t count, float *c,
                                    ptrdiff_t cStep, bool adding, WantedLines wanted) {
    for (int row = 0; row < 16; row += rowsAtATime) {
        multiplyColumnsTwice(a + row, b, bStep, count, c + 16 * row, cStep, adding, row == 0 ? wanted : noLines);
    }
}

static void multiplyPanelsTransposed(const float *a, const float *b, ptrdiff_t bStep, ptrdiff_t count, float *c,
                                     ptrdiff_t cStep, int number, bool adding) {
    if (number == 2) multiplyTransposedTwice(a, b, bStep, count, c, cStep, adding, noLines);
    else multiplyTransposed(a, b, count, c, adding, noLines);
}
