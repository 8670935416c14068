// Products of matrices that lie in panels of 16 columns, and the products of a dense layer: see BatchProduct.swift.

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

/// Fetches line `k` of those wanted, if there are.
INLINE void prefetchWanted(WantedLines wanted, ptrdiff_t k) {
    if (!wanted.first) return;
    const ptrdiff_t line = k & (((ptrdiff_t)1 << wanted.logLines) - 1);
    prefetchFar(wanted.first + (k >> wanted.logLines) * wanted.step + 16 * line);
}

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

// MARK: Rows by weights

/// A last panel of no more than eight rows is only so wide.
INLINE ptrdiff_t widthOf(ptrdiff_t panel, ptrdiff_t rows) { return rows - 16 * panel <= 8 ? 8 : 16; }

/// xᵀ in panels of 16 examples: [panels][terms][16], the last perhaps of 8; zero where there are no more examples.
static void transposeRows(const float *x, ptrdiff_t rows, ptrdiff_t count, float *transposed) {
    for (ptrdiff_t panel = 0; panel < (rows + 15) / 16; panel++) {
        const ptrdiff_t width = widthOf(panel, rows), present = least(rows - 16 * panel, 16);
        const ptrdiff_t whole = present == 16 ? count / 16 * 16 : 0;
        const float *source = x + 16 * panel * count;
        float *target = transposed + 16 * panel * count;
        for (ptrdiff_t term = 0; term < whole; term += 16) transpose16(source + term, count, target + 16 * term);
        for (ptrdiff_t term = whole; term < count; term++) {
            for (ptrdiff_t row = 0; row < width; row++) {
                target[term * width + row] = row < present ? source[row * count + term] : 0;
            }
        }
    }
}

/// A block of weights as [terms][16 columns].
static void copyWeights(const float *block, ptrdiff_t columnStep, ptrdiff_t step, ptrdiff_t terms, float *copied) {
    if (step != 1) {
        for (ptrdiff_t term = 0; term < terms; term++) store16(copied + 16 * term, load16(block + term * step));
        return;
    }
    const ptrdiff_t whole = terms / 16 * 16;
    for (ptrdiff_t term = 0; term < whole; term += 16) transpose16(block + term, columnStep, copied + 16 * term);
    for (ptrdiff_t term = whole; term < terms; term++) {
        for (ptrdiff_t column = 0; column < 16; column++) {
            copied[16 * term + column] = block[column * columnStep + term];
        }
    }
}

/// Sixteen columns of the product for the examples of one panel.
INLINE void multiplyGroup(const float *a, ptrdiff_t columnStep, ptrdiff_t step, ptrdiff_t terms, const float *b,
                          ptrdiff_t width, float *sums, bool adding, WantedLines wanted) {
    if (width == 16) {
        EACH_TILE(16, {
            multiplyStrided(height, a + row * columnStep, columnStep, step, terms, b, sums + 16 * row, adding,
                            row == 0 ? wanted : noLines);
        });
    } else {
        for (int column = 0; column < 16; column += rowsAtATime) {
            multiplyStridedNarrow(a + column * columnStep, columnStep, step, terms, b, sums + column * 8, adding);
        }
    }
}

/// Sixteen columns of the product, of weights that have been copied, for all examples; those of panel p, from `term`
/// on, are at examples + 16 p count + term · width.
static void multiplyCopied(const float *weights, ptrdiff_t terms, const float *examples, ptrdiff_t rows,
                           ptrdiff_t count, ptrdiff_t term, float *sums, WantedLines wanted) {
    const ptrdiff_t panels = (rows + 15) / 16;
    for (ptrdiff_t panel = 0; panel < panels;) {
        const ptrdiff_t width = widthOf(panel, rows);
        const float *b = examples + panel * 16 * count + term * width;
        const WantedLines lines = panel == 0 ? wanted : noLines;
        if (PANELS_IN_REGISTERS == 2 && panel + 1 < panels && widthOf(panel + 1, rows) == 16) {
            multiplyTransposedTwice(weights, b, 16 * count, terms, sums + panel * 256, 256, term > 0, lines);
            panel++;
        } else if (width == 16) {
            multiplyTransposed(weights, b, terms, sums + panel * 256, term > 0, lines);
        } else {
            multiplyGroup(weights, 1, 16, terms, b, 8, sums + panel * 256, term > 0, lines);
        }
        panel++;
    }
}

/// Writes sixteen columns, plus the bias, of the rows of one panel.
static void writeRows(const float *sums, ptrdiff_t panel, ptrdiff_t rows, ptrdiff_t column, ptrdiff_t columns,
                      const float *bias, float *c, float *work) {
    if (widthOf(panel, rows) == 16) {
        transpose16(sums, 16, work);
    } else {
        for (int row = 0; row < 8; row++) {
            for (int place = 0; place < 16; place++) work[row * 16 + place] = sums[place * 8 + row];
        }
    }
    const float16 shift = bias ? load16(bias + column) : (float16)0;
    for (ptrdiff_t row = 0; row < least(rows - 16 * panel, 16); row++) {
        store16(c + ((16 * panel + row) * columns + column), load16(work + 16 * row) + shift);
    }
}

/// The same for few examples, or weights of which the terms lie together: the lanes are examples.
static void multiplyBatchByExamples(const float *x, ptrdiff_t rows, ptrdiff_t count, const float *a, ptrdiff_t columns,
                                    ptrdiff_t columnStep, ptrdiff_t step, const float *bias, float *c,
                                    float *scratch) {
    const ptrdiff_t panels = (rows + 15) / 16;
    float *sums = scratch, *work = sums + panels * 256, *copied = work + 256;
    float *transposed = copied + 16 * termsAtATime;
    transposeRows(x, rows, count, transposed);
    // Weights that several panels are multiplied by are worth copying to where they lie close: rows of some kilobytes
    // apart lie in pages of their own and, if the distance is a power of two, in few places of the cache.
    const bool areCopied = rows >= 32 && (step > 1 || PANELS_IN_REGISTERS == 2);
    for (ptrdiff_t first = 0; first < columns; first += 16) {
        // The last columns of all begin early enough to be sixteen.
        const ptrdiff_t column = least(first, columns - 16);
        for (ptrdiff_t term = 0; term < count; term += termsAtATime) {
            const ptrdiff_t terms = least(termsAtATime, count - term);
            const float *block = a + column * columnStep + term * step;
            const float *next = term + terms < count ? block + terms * step : a + (column + 16) * columnStep;
            const WantedLines wanted = {next, step == 1 ? columnStep : step, step == 1 ? logLinesOfTerms : 0};
            if (areCopied) {
                copyWeights(block, columnStep, step, terms, copied);
                multiplyCopied(copied, terms, transposed, rows, count, term, sums, wanted);
            } else {
                for (ptrdiff_t panel = 0; panel < panels; panel++) {
                    const ptrdiff_t width = widthOf(panel, rows);
                    multiplyGroup(block, columnStep, step, terms, transposed + panel * 16 * count + term * width,
                                  width, sums + panel * 256, term > 0, panel == 0 ? wanted : noLines);
                }
            }
        }
        for (ptrdiff_t panel = 0; panel < panels; panel++) {
            writeRows(sums + panel * 256, panel, rows, column, columns, bias, c, work);
        }
    }
}

/// c (+)= Σ_k x[r, k] · b[k] (+ bias) for `height` rows of x and c, over `terms` terms; b and c have `panels` panels of
/// 16 columns, those of b `terms` rows high.
INLINE void multiplyRowsByPanels(int height, int panels, const float *x, ptrdiff_t xStep, ptrdiff_t terms,
                                 const float *b, float *c, ptrdiff_t cStep, bool adding, const float *bias,
                                 WantedLines wanted) {
    float16 sums[2][mostRowsOfTile];
    UNROLL for (int panel = 0; panel < panels; panel++) {
        UNROLL for (int r = 0; r < height; r++) sums[panel][r] = (float16)0;
    }
    for (ptrdiff_t k = 0; k < terms; k++) {
        prefetchWanted(wanted, k);
        float16 row[2];
        UNROLL for (int panel = 0; panel < panels; panel++) row[panel] = load16(b + 16 * (panel * terms + k));
        UNROLL for (int r = 0; r < height; r++) {
            UNROLL for (int panel = 0; panel < panels; panel++) {
                sums[panel][r] = multiplyAdd16(x[r * xStep + k], row[panel], sums[panel][r]);
            }
        }
    }
    UNROLL for (int panel = 0; panel < panels; panel++) {
        const float16 shift = bias ? load16(bias + 16 * panel) : (float16)0;
        UNROLL for (int r = 0; r < height; r++) {
            float *target = c + r * cStep + 16 * panel;
            const float16 sum = adding ? load16(target) + sums[panel][r] : sums[panel][r];
            store16(target, bias ? sum + shift : sum);
        }
    }
}

/// The same for at least 32 examples, where the weights are few enough to be copied for them: the lanes are columns,
/// and neither x nor c changes its order.
static void multiplyBatchByColumns(const float *x, ptrdiff_t rows, ptrdiff_t count, const float *a, ptrdiff_t columns,
                                   ptrdiff_t columnStep, ptrdiff_t step, const float *bias, float *c, float *copied) {
    for (ptrdiff_t first = 0; first < columns;) {
        const int panels = PANELS_IN_REGISTERS == 2 && columns - first >= 32 ? 2 : 1;
        // The last columns of all begin early enough to be sixteen.
        const ptrdiff_t column = least(first, columns - 16);
        for (ptrdiff_t term = 0; term < count; term += termsAtATime) {
            const ptrdiff_t terms = least(termsAtATime, count - term);
            const float *block = a + column * columnStep + term * step;
            const float *next = term + terms < count ? block + terms * step : a + (column + 16 * panels) * columnStep;
            const float *shift = bias && term + terms == count ? bias + column : NULL;
            for (int panel = 0; panel < panels; panel++) {
                copyWeights(block + 16 * panel * columnStep, columnStep, step, terms, copied + 16 * panel * terms);
            }
            EACH_TILE(rows, {
                // A tile fetches the next weights of a panel.
                const WantedLines wanted = {tile_ < panels ? next + 16 * tile_ * columnStep : NULL,
                                            step == 1 ? columnStep : step, step == 1 ? logLinesOfTerms : 0};
                if (panels == 2) {
                    multiplyRowsByPanels(height, 2, x + row * count + term, count, terms, copied,
                                         c + row * columns + column, columns, term > 0, shift, wanted);
                } else {
                    multiplyRowsByPanels(height, 1, x + row * count + term, count, terms, copied,
                                         c + row * columns + column, columns, term > 0, shift, wanted);
                }
            });
        }
        first += 16 * panels;
    }
}

/// c = x A, plus the bias: A[k, j] is a[j · columnStep + k · step]. Both ways make the same bits.
static void multiplyBatch(const float *x, ptrdiff_t rows, ptrdiff_t count, const float *a, ptrdiff_t columns,
                          ptrdiff_t columnStep, ptrdiff_t step, const float *bias, float *c, float *scratch) {
    // By measurement: up to 1.2 times as fast where it is chosen, and as fast or slower elsewhere.
    if (PANELS_IN_REGISTERS == 2 && count <= 512 && rows >= (step > 1 ? 32 : 128)) {
        multiplyBatchByColumns(x, rows, count, a, columns, columnStep, step, bias, c, scratch);
    } else {
        multiplyBatchByExamples(x, rows, count, a, columns, columnStep, step, bias, c, scratch);
    }
}

// MARK: The weights' gradient

/// The rows in panels of 16 columns: [panels][rows][16], zero where there are no more columns.
static void copyPanels(const float *matrix, ptrdiff_t rows, ptrdiff_t columns, float *panels) {
    for (ptrdiff_t column = 0; column < columns; column += 16) {
        const ptrdiff_t width = least(columns - column, 16);
        float *target = panels + column * rows;
        for (ptrdiff_t row = 0; row < rows; row++) {
            const float *source = matrix + (row * columns + column);
            if (width == 16) {
                store16(target + 16 * row, load16(source));
            } else {
                for (ptrdiff_t i = 0; i < 16; i++) target[16 * row + i] = i < width ? source[i] : 0;
            }
        }
    }
}

/// Writes up to sixteen rows and columns of the weights' gradient, or adds them.
INLINE void writeWeights(const float *sums, ptrdiff_t input, ptrdiff_t inputs, ptrdiff_t output, ptrdiff_t outputs,
                         float *gradient, bool adding) {
    const ptrdiff_t width = least(outputs - output, 16), height = least(inputs - input, 16);
    for (ptrdiff_t row = 0; row < height; row++) {
        const float *source = sums + 16 * row;
        float *target = gradient + ((input + row) * outputs + output);
        if (width == 16) {
            const float16 sum = load16(source);
            store16(target, adding ? load16(target) + sum : sum);
            prefetch(target + 32);
        } else {
            for (ptrdiff_t i = 0; i < width; i++) target[i] = adding ? target[i] + source[i] : source[i];
        }
    }
}

static void multiplyBatchTransposed(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t inputs,
                                    ptrdiff_t outputs, float *gradient, bool adding, float *scratch) {
    float *work = scratch, *left = work + 512, *right = left + (inputs + 15) / 16 * 16 * rows;
    copyPanels(x, rows, inputs, left);
    copyPanels(dy, rows, outputs, right);
    for (ptrdiff_t input = 0; input < inputs; input += 16) {
        for (ptrdiff_t output = 0; output < outputs;) {
            const int number = PANELS_IN_REGISTERS == 2 && output + 16 < outputs ? 2 : 1;
            multiplyPanelsTransposed(left + input * rows, right + output * rows, 16 * rows, rows, work, 256, number,
                                     false);
            for (int panel = 0; panel < number; panel++, output += 16) {
                writeWeights(work + panel * 256, input, inputs, output, outputs, gradient, adding);
            }
        }
    }
}
