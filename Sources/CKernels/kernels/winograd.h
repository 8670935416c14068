// The transforms and products of WinogradConvolution.swift, where the plan is made. `taps` is a constant wherever the
// maps are used, so that there are two forms of each function.

/// Applies `map` to the rows, then to the columns of a square array of vectors: `loaded` is the vector of row i and
/// column j, and the statements take away `value`, the result's.
#define TRANSFORM_SQUARE(map, taps, from, to, work, loaded, ...)                    \
    UNROLL for (int i = 0; i < (from); i++) {                                       \
        float16 in_[mostPoints], out_[mostPoints];                                  \
        UNROLL for (int j = 0; j < (from); j++) in_[j] = (loaded);                  \
        map(taps, in_, out_);                                                       \
        UNROLL for (int j = 0; j < (to); j++) store16((work) + (i * (to) + j) * 16, out_[j]); \
    }                                                                               \
    UNROLL for (int j = 0; j < (to); j++) {                                         \
        float16 in_[mostPoints], out_[mostPoints];                                  \
        UNROLL for (int i = 0; i < (from); i++) in_[i] = load16((work) + (i * (to) + j) * 16); \
        map(taps, in_, out_);                                                       \
        UNROLL for (int i = 0; i < (to); i++) {                                     \
            const float16 value = out_[i];                                          \
            __VA_ARGS__                                                             \
        }                                                                           \
    }

/// A function of the table from one whose first parameter is `taps`.
#define BOTH_FORMS(name, parameters, ...)                                           \
    static void name parameters {                                                   \
        if (plan->taps == 2) name##Of(2, __VA_ARGS__);                              \
        else name##Of(3, __VA_ARGS__);                                              \
    }

// MARK: Images, between NHWC and the matrices of the points

typedef struct {
    ptrdiff_t image, row, column;
} TilePlace;

/// Where a tile starts: its image, first output row and first output column.
INLINE TilePlace placeOf(const WinogradPlan *p, ptrdiff_t tile) {
    const ptrdiff_t row = tile / p->tileColumns;
    return (TilePlace){row / p->tileRows, row % p->tileRows * 4, tile % p->tileColumns * 4};
}

/// The i in 0 ..< points with 0 ≤ first + stride · i < size.
INLINE Part inside(ptrdiff_t first, ptrdiff_t size, ptrdiff_t stride, ptrdiff_t points) {
    const ptrdiff_t start = first < 0 ? (stride - 1 - first) / stride : 0;
    const ptrdiff_t end = first < size ? (size - first + stride - 1) / stride : 0;
    return (Part){start, most(least(end, points), start)};
}

/// The pixels of a phase (r, s), points × points, under a tile: the offset of the first, which may be outside the
/// image, and which rows and columns are inside.
INLINE ptrdiff_t windowOf(int taps, const WinogradPlan *p, TilePlace tile, ptrdiff_t phase, Part *rows,
                          Part *columns) {
    const ConvolutionShape *g = &p->shape;
    const ptrdiff_t stride = g->strideHeight;
    const ptrdiff_t top = stride * tile.row + phase / stride - g->padTop;
    const ptrdiff_t left = stride * tile.column + phase % stride - g->padLeft;
    *rows = inside(top, g->inputHeight, stride, taps + 3);
    *columns = inside(left, g->inputWidth, stride, taps + 3);
    return ((tile.image * g->inputHeight + top) * g->inputWidth + left) * g->inputChannels;
}

/// The rows that the last block of tiles leaves over are no tiles: zero, so that they add nothing to the weights'
/// gradient.
static void clearRest(const WinogradPlan *p, float *matrices, ptrdiff_t point, ptrdiff_t tiles, ptrdiff_t columns) {
    if (tiles == p->rows) return;
    for (ptrdiff_t number = 0; number < (p->taps + 3) * (p->taps + 3); number++) {
        for (ptrdiff_t panel = 0; panel < columns / 16; panel++) {
            memset(matrices + (number * point + (panel * p->rows + tiles) * 16), 0,
                   (size_t)(p->rows - tiles) * 16 * sizeof *matrices);
        }
    }
}

INLINE void transformInputOf(int taps, const WinogradPlan *plan, const float *input, Part tiles, float *x,
                             float *work) {
    const int points = taps + 3;
    const WinogradPlan p = *plan;
    const ptrdiff_t channels = p.shape.inputChannels, point = p.inputPoint, rows = p.rows;
    const ptrdiff_t stride = p.shape.strideHeight, phases = stride * stride;
    const ptrdiff_t pixelStep = stride * channels, rowStep = stride * p.shape.inputWidth * channels;
    for (ptrdiff_t tile = tiles.first; tile < tiles.end; tile++) {
        for (ptrdiff_t phase = 0; phase < phases; phase++) {
            Part insideRows, insideColumns;
            const ptrdiff_t offset = windowOf(taps, &p, placeOf(&p, tile), phase, &insideRows, &insideColumns);
            for (ptrdiff_t channel = 0; channel < channels; channel += 16) {
                const ptrdiff_t source = offset + channel;
                float *target = x + ((phase * channels + channel) * rows + (tile - tiles.first) * 16);
                TRANSFORM_SQUARE(inputMap, taps, points, points, work,
                    i >= insideRows.first && i < insideRows.end && j >= insideColumns.first && j < insideColumns.end
                        ? load16(input + (source + i * rowStep + j * pixelStep)) : (float16)0, {
                    float *place = target + (i * points + j) * point;
                    store16(place, value);
                    prefetchForWriting(place + 16 * rows);
                })
            }
        }
    }
    clearRest(&p, x, point, tiles.end - tiles.first, phases * channels);
}
BOTH_FORMS(transformInput, (const WinogradPlan *plan, const float *input, Part tiles, float *x, float *work),
           plan, input, tiles, x, work)

INLINE void transformOutputGradientOf(int taps, const WinogradPlan *plan, const float *gradient, Part tiles, float *z,
                                      float *work) {
    const int points = taps + 3;
    const WinogradPlan p = *plan;
    const ConvolutionShape *g = &p.shape;
    const ptrdiff_t channels = g->outputChannels, point = p.outputPoint, rows = p.rows;
    for (ptrdiff_t tile = tiles.first; tile < tiles.end; tile++) {
        const TilePlace at = placeOf(&p, tile);
        const ptrdiff_t insideRows = g->outputHeight - at.row, insideColumns = g->outputWidth - at.column;
        const ptrdiff_t offset = ((at.image * g->outputHeight + at.row) * g->outputWidth + at.column) * channels;
        for (ptrdiff_t channel = 0; channel < channels; channel += 16) {
            const float *source = gradient + (offset + channel);
            float *target = z + (channel * rows + (tile - tiles.first) * 16);
            TRANSFORM_SQUARE(outputAdjoint, taps, 4, points, work,
                i < insideRows && j < insideColumns ? load16(source + (i * g->outputWidth + j) * channels)
                                                    : (float16)0, {
                float *place = target + (i * points + j) * point;
                store16(place, value);
                prefetchForWriting(place + 16 * rows);
            })
        }
    }
    clearRest(&p, z, point, tiles.end - tiles.first, channels);
}
BOTH_FORMS(transformOutputGradient,
           (const WinogradPlan *plan, const float *gradient, Part tiles, float *z, float *work),
           plan, gradient, tiles, z, work)

INLINE void writeOutputOf(int taps, const WinogradPlan *plan, const float *y, Part tiles, Part panels, float *output,
                          float *work) {
    const int points = taps + 3;
    const WinogradPlan p = *plan;
    const ConvolutionShape *g = &p.shape;
    const ptrdiff_t point = p.resultPoint, channels = g->outputChannels;
    for (ptrdiff_t tile = tiles.first; tile < tiles.end; tile++) {
        const TilePlace at = placeOf(&p, tile);
        const ptrdiff_t insideRows = g->outputHeight - at.row, insideColumns = g->outputWidth - at.column;
        const ptrdiff_t offset = ((at.image * g->outputHeight + at.row) * g->outputWidth + at.column) * channels;
        for (ptrdiff_t panel = panels.first; panel < panels.end; panel++) {
            const float *source = y + ((panel - panels.first) * p.rows + tile - tiles.first) * 16;
            float *target = output + (offset + panel * 16);
            TRANSFORM_SQUARE(outputMap, taps, points, 4, work, load16(source + (i * points + j) * point), {
                if (i < insideRows && j < insideColumns) store16(target + (i * g->outputWidth + j) * channels, value);
            })
        }
    }
}
BOTH_FORMS(writeOutput,
           (const WinogradPlan *plan, const float *y, Part tiles, Part panels, float *output, float *work),
           plan, y, tiles, panels, output, work)

INLINE void addInputGradientOf(int taps, const WinogradPlan *plan, const float *x, Part tiles, ptrdiff_t phase,
                               Part panels, float *inputGradient, float *work) {
    const int points = taps + 3;
    const WinogradPlan p = *plan;
    const ptrdiff_t channels = p.shape.inputChannels, point = p.resultPoint, stride = p.shape.strideHeight;
    const ptrdiff_t pixelStep = stride * channels, rowStep = stride * p.shape.inputWidth * channels;
    for (ptrdiff_t tile = tiles.first; tile < tiles.end; tile++) {
        const TilePlace at = placeOf(&p, tile);
        Part insideRows, insideColumns;
        const ptrdiff_t offset = windowOf(taps, &p, at, phase, &insideRows, &insideColumns);
        for (ptrdiff_t panel = panels.first; panel < panels.end; panel++) {
            const float *source = x + ((panel - panels.first) * p.rows + tile - tiles.first) * 16;
            const ptrdiff_t target = offset + panel * 16;
            TRANSFORM_SQUARE(inputAdjoint, taps, points, points, work, load16(source + (i * points + j) * point), {
                if (i >= insideRows.first && i < insideRows.end && j >= insideColumns.first && j < insideColumns.end) {
                    float *pixel = inputGradient + (target + i * rowStep + j * pixelStep);
                    const bool isShared = (i < taps - 1 && at.row > 0) || (j < taps - 1 && at.column > 0);
                    store16(pixel, isShared ? load16(pixel) + value : value);
                }
            })
        }
    }
}
BOTH_FORMS(addInputGradient,
           (const WinogradPlan *plan, const float *x, Part tiles, ptrdiff_t phase, Part panels, float *inputGradient,
            float *work),
           plan, x, tiles, phase, panels, inputGradient, work)

// MARK: Weights

/// The offset of weight [r + stride · a, s + stride · b, 0, 0], phase = stride · r + s, tap = taps · a + b; negative
/// where the kernel has no such row or column, whose weights are zero.
INLINE ptrdiff_t weightOffset(const WinogradPlan *p, ptrdiff_t phase, ptrdiff_t tap) {
    const ConvolutionShape *g = &p->shape;
    const ptrdiff_t row = phase / g->strideHeight + tap / p->taps * g->strideHeight;
    const ptrdiff_t column = phase % g->strideHeight + tap % p->taps * g->strideHeight;
    if (row >= g->kernelHeight || column >= g->kernelWidth) return -1;
    return (row * g->kernelWidth + column) * g->inputChannels * g->outputChannels;
}

static void copyTaps(const WinogradPlan *p, const float *weight, ptrdiff_t phase, Part inputs, ptrdiff_t panel,
                     float *taps) {
    const ptrdiff_t outputs = p->shape.outputChannels, count = inputs.end - inputs.first;
    for (ptrdiff_t tap = 0; tap < p->taps * p->taps; tap++) {
        const ptrdiff_t offset = weightOffset(p, phase, tap);
        float *target = taps + tap * p->chunkPoint;
        if (offset < 0) {
            memset(target, 0, (size_t)count * 16 * sizeof *target);
            continue;
        }
        const float *source = weight + (offset + inputs.first * outputs + panel * 16);
        for (ptrdiff_t input = 0; input < count; input++) {
            store16(target + input * 16, load16(source + input * outputs));
        }
    }
}

static void transposeTaps(const WinogradPlan *p, const float *weight, ptrdiff_t phase, ptrdiff_t panel, Part outputs,
                          float *taps) {
    const ptrdiff_t step = p->shape.outputChannels, count = outputs.end - outputs.first;
    for (ptrdiff_t tap = 0; tap < p->taps * p->taps; tap++) {
        const ptrdiff_t offset = weightOffset(p, phase, tap);
        float *target = taps + tap * p->chunkPoint;
        if (offset < 0) {
            memset(target, 0, (size_t)count * 16 * sizeof *target);
            continue;
        }
        const float *source = weight + (offset + panel * 16 * step + outputs.first);
        for (ptrdiff_t output = 0; output < count; output += 16) {
            transpose16(source + output, step, target + output * 16);
        }
    }
}

/// `count` rows of a panel of U, at each of the points.
INLINE void transformWeightsOf(int taps, const float *weights, ptrdiff_t step, ptrdiff_t count, float *u) {
    const int points = taps + 3;
    for (ptrdiff_t row = 0; row < count; row++) {
        const float *source = weights + row * 16;
        float *target = u + row * 16;
        float16 columns[mostTaps][mostPoints];
        UNROLL for (int b = 0; b < taps; b++) {
            float16 column[mostTaps];
            UNROLL for (int a = 0; a < taps; a++) column[a] = load16(source + (a * taps + b) * step);
            weightMap(taps, column, columns[b]);
        }
        UNROLL for (int i = 0; i < points; i++) {
            float16 across[mostTaps], result[mostPoints];
            UNROLL for (int b = 0; b < taps; b++) across[b] = columns[b][i];
            weightMap(taps, across, result);
            UNROLL for (int j = 0; j < points; j++) store16(target + (points * i + j) * step, result[j]);
        }
    }
}

/// Fetches the next part of what is wanted.
INLINE void prefetchPart(const WinogradPlan *p, UpcomingWeights *w) {
    for (ptrdiff_t count = 0; count < w->linesAtATime; count++) {
        if (w->tap == p->taps * p->taps) return;
        const ptrdiff_t offset = weightOffset(p, w->phase, w->tap);
        if (offset >= 0) prefetchFar(w->first + (offset + w->row * p->shape.outputChannels + 16 * w->line));
        if (++w->line == w->lines) w->line = 0, w->row++;
        if (w->row == w->rows || offset < 0) w->line = 0, w->row = 0, w->tap++;
    }
}

static void addWinogradProducts(const WinogradPlan *plan, const float *image, ptrdiff_t imagePoint, ptrdiff_t count,
                                ptrdiff_t panels, float *weights, const float *taps, float *result, bool adding,
                                const UpcomingWeights *upcoming) {
    const WinogradPlan p = *plan;
    const ptrdiff_t points = (p.taps + 3) * (p.taps + 3);
    UpcomingWeights next = *upcoming;
    for (ptrdiff_t panel = 0; panel < panels; panel++) {
        const float *ofPanel = taps + panel * p.taps * p.taps * p.chunkPoint;
        if (p.taps == 2) transformWeightsOf(2, ofPanel, p.chunkPoint, count, weights);
        else transformWeightsOf(3, ofPanel, p.chunkPoint, count, weights);
        for (ptrdiff_t point = 0; point < points; point++) {
            // The first panel's products fetch the image's values for the next point, which then stay near for the
            // other panels.
            const ptrdiff_t nextPoint =
                point < points - 1 ? imagePoint : 16 * p.rows * (count / 16) - (points - 1) * imagePoint;
            multiplyPanels(image + point * imagePoint, 16 * p.rows, count / 16, weights + point * p.chunkPoint,
                           result + (point * p.resultPoint + panel * 16 * p.rows), p.rows, adding,
                           panel == 0 ? nextPoint : 0);
            prefetchPart(&p, &next);
        }
    }
}

static void multiplyWinogradTransposed(const WinogradPlan *plan, const float *left, const float *right,
                                       ptrdiff_t panels, float *u, const UpcomingWeights *upcoming) {
    const WinogradPlan p = *plan;
    UpcomingWeights written = *upcoming;
    for (ptrdiff_t point = 0; point < (p.taps + 3) * (p.taps + 3); point++) {
        const float *panel = right + point * p.outputPoint;
        const WantedLines next = {panel + p.outputPoint, 16, 0};
        for (ptrdiff_t index = 0; index < panels; index++) {
            multiplyTransposed(left + (point * p.inputPoint + index * 16 * p.rows), panel, p.rows,
                               u + (point * p.gradientPoint + index * 256), false, index == 0 ? next : noLines);
            prefetchPart(&p, &written);
        }
    }
}

INLINE void writeWeightGradientOf(int taps, const WinogradPlan *plan, const float *u, ptrdiff_t phase, Part panels,
                                  ptrdiff_t outputPanel, float *weightGradient, bool adding, float *work) {
    const int points = taps + 3;
    const WinogradPlan p = *plan;
    const ptrdiff_t outputs = p.shape.outputChannels, point = p.gradientPoint;
    for (ptrdiff_t panel = panels.first; panel < panels.end; panel++) {
        for (ptrdiff_t input = 0; input < 16; input++) {
            const float *source = u + ((panel - panels.first) * 256 + input * 16);
            float *target = weightGradient + ((panel * 16 + input) * outputs + outputPanel * 16);
            TRANSFORM_SQUARE(weightAdjoint, taps, points, taps, work, load16(source + (i * points + j) * point), {
                const ptrdiff_t offset = weightOffset(&p, phase, taps * i + j);
                if (offset >= 0) store16(target + offset, adding ? load16(target + offset) + value : value);
            })
        }
    }
}
BOTH_FORMS(writeWeightGradient,
           (const WinogradPlan *plan, const float *u, ptrdiff_t phase, Part panels, ptrdiff_t outputPanel,
            float *weightGradient, bool adding, float *work),
           plan, u, phase, panels, outputPanel, weightGradient, adding, work)
