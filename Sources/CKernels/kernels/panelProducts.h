// The products of a dense layer over weights that are stored in panels of 16 outputs, [outputs / 16][inputs][16], in
// the order in which they are multiplied: see WeightPanels.swift.

/// Rows whose values stay in the second-level cache while all weights go by.
enum { mostRowsAtATime = 128 };
/// Terms of a sum, likewise, of which a panel's weights stay in the smallest cache.
enum { termsOfPanel = 256 };
/// How far ahead weights are fetched where each panel's are read sixteen inputs at a time: the next but one.
enum { inputsAhead = 2 * 16 * 16 };

/// A case of a `switch` over heights: the statements with `height` as a constant. No tile is higher than its set's.
#define CASE(value, ...)                                                                \
    case value: {                                                                       \
        enum { height = (value) < mostRowsOfTile ? (value) : mostRowsOfTile };          \
        __VA_ARGS__                                                                     \
    } break;
#define EACH_CASE(...)                                                                  \
    CASE(1, __VA_ARGS__) CASE(2, __VA_ARGS__) CASE(3, __VA_ARGS__) CASE(4, __VA_ARGS__) \
    CASE(5, __VA_ARGS__) CASE(6, __VA_ARGS__) CASE(7, __VA_ARGS__) CASE(8, __VA_ARGS__)

/// Part `number` of `count` values in `parts` that are as large as each other, or one larger.
INLINE Part partOf(ptrdiff_t count, ptrdiff_t number, ptrdiff_t parts) {
    return (Part){number * count / parts, (number + 1) * count / parts};
}
INLINE ptrdiff_t partsOf(ptrdiff_t count, ptrdiff_t most) { return (count + most - 1) / most; }

// MARK: Forward

/// One or two panels' outputs for some rows.
INLINE void multiplyPanelsOfOutputs(int panels, const float *x, ptrdiff_t rows, ptrdiff_t inputs, const float *weight,
                                    ptrdiff_t outputs, const float *bias, float *y) {
    const ptrdiff_t tiles = partsOf(rows, mostRowsOfTile), bStep = 16 * inputs;
    for (ptrdiff_t term = 0; term < inputs; term += termsOfPanel) {
        const ptrdiff_t terms = least(termsOfPanel, inputs - term);
        const bool isLast = term + terms == inputs;
        const float *b = weight + 16 * term, *shift = isLast ? bias : NULL;
        const float *next = isLast ? weight + panels * bStep : b + 16 * terms;
        for (ptrdiff_t tile = 0; tile < tiles; tile++) {
            const Part part = partOf(rows, tile, tiles);
            switch (part.end - part.first) {
                EACH_CASE(multiplyRowsByPanels(height, panels, x + part.first * inputs + term, inputs, terms, b, bStep,
                                               y + part.first * outputs, outputs, term > 0, shift,
                                               (WantedLines){tile == 0 ? next : NULL, 16, 0}, bStep);)
            }
        }
    }
}

static void multiplyStored(const float *x, ptrdiff_t rows, ptrdiff_t inputs, const float *weight, ptrdiff_t outputs,
                           const float *bias, float *y) {
    const ptrdiff_t parts = partsOf(rows, mostRowsAtATime);
    for (ptrdiff_t number = 0; number < parts; number++) {
        const Part part = partOf(rows, number, parts);
        const float *xOfPart = x + part.first * inputs;
        float *yOfPart = y + part.first * outputs;
        for (ptrdiff_t output = 0; output < outputs;) {
            const int panels = PANELS_IN_REGISTERS == 2 && output + 16 < outputs ? 2 : 1;
            const float *ofOutputs = weight + output * inputs, *shift = bias ? bias + output : NULL;
            if (panels == 2) {
                multiplyPanelsOfOutputs(2, xOfPart, part.end - part.first, inputs, ofOutputs, outputs, shift,
                                        yOfPart + output);
            } else {
                multiplyPanelsOfOutputs(1, xOfPart, part.end - part.first, inputs, ofOutputs, outputs, shift,
                                        yOfPart + output);
            }
            output += 16 * panels;
        }
    }
}

// MARK: The input's gradient

// Sixteen inputs' sums over `terms` outputs, whose panels are `step` apart. dy of 8, 16 or twice 16 rows is transposed:
// the lanes are rows. With `fetches` the weights `inputsAhead` are fetched meanwhile.

INLINE void sumInputs(int height, const float *weights, ptrdiff_t step, ptrdiff_t terms, const float *dy, float *sums,
                      bool adding, bool fetches) {
    float16 sum[mostRowsOfTile];
    UNROLL for (int r = 0; r < height; r++) sum[r] = (float16)0;
    for (ptrdiff_t term = 0; term < terms; term += 16, weights += step) {
        for (ptrdiff_t k = 0; k < 16; k++) {
            if (fetches) prefetch(weights + inputsAhead + 16 * k);
            const float16 rows = load16(dy + 16 * (term + k));
            UNROLL for (int r = 0; r < height; r++) sum[r] = multiplyAdd16(weights[16 * r + k], rows, sum[r]);
        }
    }
    writeSums(height, sum, sums, adding);
}

INLINE void sumInputsTwice(const float *weights, ptrdiff_t step, ptrdiff_t terms, const float *dy, ptrdiff_t dyStep,
                           float *sums, bool adding, bool fetches) {
    float16 first[rowsAtATime], second[rowsAtATime];
    UNROLL for (int r = 0; r < rowsAtATime; r++) first[r] = second[r] = (float16)0;
    for (ptrdiff_t term = 0; term < terms; term += 16, weights += step) {
        for (ptrdiff_t k = 0; k < 16; k++) {
            if (fetches) prefetch(weights + inputsAhead + 16 * k);
            const float16 rows = load16(dy + 16 * (term + k)), others = load16(dy + dyStep + 16 * (term + k));
            UNROLL for (int r = 0; r < rowsAtATime; r++) {
                first[r] = multiplyAdd16(weights[16 * r + k], rows, first[r]);
                second[r] = multiplyAdd16(weights[16 * r + k], others, second[r]);
            }
        }
    }
    writeSums(rowsAtATime, first, sums, adding);
    writeSums(rowsAtATime, second, sums + 256, adding);
}

INLINE void sumInputsNarrow(const float *weights, ptrdiff_t step, ptrdiff_t terms, const float *dy, float *sums,
                            bool adding, bool fetches) {
    float8 sum[8];
    UNROLL for (int r = 0; r < 8; r++) sum[r] = (float8)0;
    for (ptrdiff_t term = 0; term < terms; term += 16, weights += step) {
        for (ptrdiff_t k = 0; k < 16; k++) {
            if (fetches) prefetch(weights + inputsAhead + 16 * k);
            const float8 rows = load(dy + 8 * (term + k), 8);
            UNROLL for (int r = 0; r < 8; r++) sum[r] = multiplyAdd8(weights[16 * r + k], rows, sum[r]);
        }
    }
    UNROLL for (int r = 0; r < 8; r++) store(sums + 8 * r, adding ? load(sums + 8 * r, 8) + sum[r] : sum[r], 8);
}

/// Sixteen inputs' sums for all rows. `dy`: of `outputs` outputs, of which those from `term` on are added.
static void sumInputsOfRows(const float *weights, ptrdiff_t step, ptrdiff_t terms, const float *dy, ptrdiff_t rows,
                            ptrdiff_t outputs, ptrdiff_t term, float *sums) {
    const ptrdiff_t panels = (rows + 15) / 16;
    const bool adding = term > 0;
    for (ptrdiff_t panel = 0; panel < panels; panel++) {
        const float *ofPanel = dy + panel * 16 * outputs + term * widthOf(panel, rows);
        float *target = sums + panel * 256;
        const bool fetches = panel == 0;
        if (widthOf(panel, rows) == 8) {
            sumInputsNarrow(weights, step, terms, ofPanel, target, adding, fetches);
            sumInputsNarrow(weights + 128, step, terms, ofPanel, target + 64, adding, false);
        } else if (PANELS_IN_REGISTERS == 2 && panel + 1 < panels && widthOf(panel + 1, rows) == 16) {
            for (int input = 0; input < 16; input += rowsAtATime) {
                sumInputsTwice(weights + 16 * input, step, terms, ofPanel, 16 * outputs, target + 16 * input, adding,
                               fetches && input == 0);
            }
            panel++;
        } else {
            EACH_TILE(16, {
                sumInputs(height, weights + 16 * row, step, terms, ofPanel, target + 16 * row, adding,
                          fetches && row == 0);
            });
        }
    }
}

/// All weights are read once, from the first to the last, a few panels side by side; the sums of all inputs stay in the
/// cache meanwhile.
static void multiplyStoredTransposedOf(const float *dy, ptrdiff_t rows, ptrdiff_t outputs, const float *weight,
                                       ptrdiff_t inputs, float *dx, float *scratch) {
    const ptrdiff_t panels = (rows + 15) / 16, groups = (inputs + 15) / 16;
    float *sums = scratch, *work = sums + groups * panels * 256, *transposed = work + 256;
    transposeRows(dy, rows, outputs, transposed);
    for (ptrdiff_t term = 0; term < outputs; term += termsAtATime) {
        const ptrdiff_t terms = least(termsAtATime, outputs - term);
        for (ptrdiff_t group = 0; group < groups; group++) {
            const float *ofInputs = weight + (term * inputs + 16 * lastSixteen(16 * group, inputs));
            sumInputsOfRows(ofInputs, 16 * inputs, terms, transposed, rows, outputs, term, sums + group * panels * 256);
        }
    }
    for (ptrdiff_t group = 0; group < groups; group++) {
        for (ptrdiff_t panel = 0; panel < panels; panel++) {
            writeRows(sums + (group * panels + panel) * 256, panel, rows, lastSixteen(16 * group, inputs), inputs, NULL,
                      dx, work);
        }
    }
}

static void multiplyStoredTransposed(const float *dy, ptrdiff_t rows, ptrdiff_t outputs, const float *weight,
                                     ptrdiff_t inputs, float *dx, float *scratch) {
    // Not in equal parts: those that fill their panels leave nothing over.
    for (ptrdiff_t row = 0; row < rows; row += mostRowsAtATime) {
        multiplyStoredTransposedOf(dy + row * outputs, least(mostRowsAtATime, rows - row), outputs, weight, inputs,
                                   dx + row * inputs, scratch);
    }
}

// MARK: The weights' gradient

/// dW of up to sixteen inputs and one or two panels of outputs, `bStep` apart, from `count` rows.
INLINE void addToStored(int panels, const float *left, const float *right, ptrdiff_t bStep, ptrdiff_t count,
                        ptrdiff_t inputs, ptrdiff_t present, float *gradient, bool adding, float *work) {
    const ptrdiff_t step = 16 * inputs;
    if (present == 16) {
        if (panels == 2) {
            multiplyTransposedTwice(left, right, bStep, count, gradient, step, adding,
                                    (WantedLines){gradient + 256, 16, 0});
        } else {
            multiplyTransposed(left, right, count, gradient, adding, (WantedLines){gradient + 512, 16, 0});
        }
        return;
    }
    for (int panel = 0; panel < panels; panel++) {
        float *target = gradient + panel * step;
        multiplyTransposed(left, right + panel * bStep, count, work, false, noLines);
        for (ptrdiff_t i = 0; i < 16 * present; i++) target[i] = adding ? target[i] + work[i] : work[i];
    }
}

/// dW of one or two panels of outputs: from so many rows at a time that theirs stay in the smallest cache, while the
/// panels of dW stay in the next.
INLINE void addPanelsToStored(int panels, const float *left, const float *right, ptrdiff_t rows, ptrdiff_t inputs,
                              float *gradient, bool adding, float *work) {
    const ptrdiff_t parts = most(partsOf(rows, mostRowsAtATime), 1);
    for (ptrdiff_t number = 0; number < parts; number++) {
        const Part part = partOf(rows, number, parts);
        for (ptrdiff_t input = 0; input < inputs; input += 16) {
            addToStored(panels, left + input * rows + 16 * part.first, right + 16 * part.first, 16 * rows,
                        part.end - part.first, inputs, least(inputs - input, 16), gradient + 16 * input,
                        adding || number > 0, work);
        }
    }
}

static void multiplyIntoStored(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t outputs,
                               float *gradient, bool adding, float *scratch) {
    float *work = scratch, *left = work + 256, *right = left + (inputs + 15) / 16 * 16 * rows;
    copyPanels(x, rows, inputs, left);
    copyPanels(dy, rows, outputs, right);
    for (ptrdiff_t output = 0; output < outputs;) {
        const int panels = PANELS_IN_REGISTERS == 2 && output + 16 < outputs ? 2 : 1;
        const float *ofOutputs = right + output * rows;
        float *target = gradient + output * inputs;
        if (panels == 2) addPanelsToStored(2, left, ofOutputs, rows, inputs, target, adding, work);
        else addPanelsToStored(1, left, ofOutputs, rows, inputs, target, adding, work);
        output += 16 * panels;
    }
}
