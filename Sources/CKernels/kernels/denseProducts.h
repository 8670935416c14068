// The products of a dense layer: see BatchProduct.swift.

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

/// Groups of sixteen columns that are copied at a time.
enum { groupsAtATime = 4 };

/// The last columns of all begin early enough to be sixteen.
INLINE ptrdiff_t lastSixteen(ptrdiff_t column, ptrdiff_t columns) { return least(column, columns - 16); }

/// The same for few examples, or weights of which the terms lie together: the lanes are examples.
static void multiplyBatchByExamples(const float *x, ptrdiff_t rows, ptrdiff_t count, const float *a, ptrdiff_t columns,
                                    ptrdiff_t columnStep, ptrdiff_t step, const float *bias, float *c,
                                    float *scratch) {
    const ptrdiff_t panels = (rows + 15) / 16;
    float *sums = scratch, *work = sums + groupsAtATime * panels * 256, *copied = work + 256;
    float *transposed = copied + groupsAtATime * 16 * termsAtATime;
    transposeRows(x, rows, count, transposed);
    // Weights that several panels are multiplied by are worth copying to where they lie close: rows of some kilobytes
    // apart lie in pages of their own and, if the distance is a power of two, in few places of the cache.
    const bool areCopied = rows >= 32 && (step > 1 || PANELS_IN_REGISTERS == 2);
    // Of rows that lie in pages of their own, several cache lines at a time: finding a page costs more than they do.
    const ptrdiff_t most = areCopied && step > 1 ? groupsAtATime : 1;
    for (ptrdiff_t first = 0; first < columns; first += 16 * most) {
        const ptrdiff_t groups = least(most, (columns - first + 15) / 16);
        for (ptrdiff_t term = 0; term < count; term += termsAtATime) {
            const ptrdiff_t terms = least(termsAtATime, count - term);
            for (ptrdiff_t group = 0; group < groups && areCopied; group++) {
                const float *block = a + lastSixteen(first + 16 * group, columns) * columnStep + term * step;
                copyWeights(block, columnStep, step, terms, copied + group * 16 * termsAtATime);
            }
            for (ptrdiff_t group = 0; group < groups; group++) {
                const ptrdiff_t column = lastSixteen(first + 16 * group, columns);
                const float *block = a + column * columnStep + term * step;
                const float *next = term + terms < count ? block + terms * step : a + (column + 16 * most) * columnStep;
                const WantedLines wanted = {next, step == 1 ? columnStep : step, step == 1 ? logLinesOfTerms : 0};
                float *sumsOfGroup = sums + group * panels * 256;
                if (areCopied) {
                    multiplyCopied(copied + group * 16 * termsAtATime, terms, transposed, rows, count, term,
                                   sumsOfGroup, wanted);
                    continue;
                }
                for (ptrdiff_t panel = 0; panel < panels; panel++) {
                    const ptrdiff_t width = widthOf(panel, rows);
                    multiplyGroup(block, columnStep, step, terms, transposed + panel * 16 * count + term * width,
                                  width, sumsOfGroup + panel * 256, term > 0, panel == 0 ? wanted : noLines);
                }
            }
        }
        for (ptrdiff_t group = 0; group < groups; group++) {
            for (ptrdiff_t panel = 0; panel < panels; panel++) {
                writeRows(sums + (group * panels + panel) * 256, panel, rows, lastSixteen(first + 16 * group, columns),
                          columns, bias, c, work);
            }
        }
    }
}

/// c (+)= Σ_k x[r, k] · b[k] (+ bias) for `height` rows of x and c, over `terms` terms; b and c have `panels` panels of
/// 16 columns, those of b `bStep` apart. Meanwhile the lines that are wanted for each are fetched, `wantedStep` apart.
INLINE void multiplyRowsByPanels(int height, int panels, const float *x, ptrdiff_t xStep, ptrdiff_t terms,
                                 const float *b, ptrdiff_t bStep, float *c, ptrdiff_t cStep, bool adding,
                                 const float *bias, WantedLines wanted, ptrdiff_t wantedStep) {
    float16 sums[2][mostRowsOfTile];
    UNROLL for (int panel = 0; panel < panels; panel++) {
        UNROLL for (int r = 0; r < height; r++) sums[panel][r] = (float16)0;
    }
    for (ptrdiff_t k = 0; k < terms; k++) {
        float16 row[2];
        UNROLL for (int panel = 0; panel < panels; panel++) {
            prefetchWantedFurther(wanted, k, panel * wantedStep);
            row[panel] = load16(b + panel * bStep + 16 * k);
        }
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
        const ptrdiff_t column = lastSixteen(first, columns);
        for (ptrdiff_t term = 0; term < count; term += termsAtATime) {
            const ptrdiff_t terms = least(termsAtATime, count - term);
            const float *block = a + column * columnStep + term * step;
            const float *next = term + terms < count ? block + terms * step : a + (column + 16 * panels) * columnStep;
            const float *shift = bias && term + terms == count ? bias + column : NULL;
            for (int panel = 0; panel < panels; panel++) {
                copyWeights(block + 16 * panel * columnStep, columnStep, step, terms, copied + 16 * panel * terms);
            }
            EACH_TILE(rows, {
                const WantedLines wanted = {tile_ == 0 ? next : NULL, step == 1 ? columnStep : step,
                                            step == 1 ? logLinesOfTerms : 0};
                const float *xOfTile = x + row * count + term;
                float *cOfTile = c + row * columns + column;
                if (panels == 2) {
                    multiplyRowsByPanels(height, 2, xOfTile, count, terms, copied, 16 * terms, cOfTile, columns,
                                         term > 0, shift, wanted, 16 * columnStep);
                } else {
                    multiplyRowsByPanels(height, 1, xOfTile, count, terms, copied, 16 * terms, cOfTile, columns,
                                         term > 0, shift, wanted, 16 * columnStep);
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
