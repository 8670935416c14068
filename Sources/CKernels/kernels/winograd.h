// The transforms and products of the 4 × 4 convolution of stride 2: see WinogradConvolution.swift, WinogradImages.swift
// and WinogradWeights.swift, where the plan is made.
//
// The transforms of F(4, 2): four neighbouring outputs of a two-tap filter by five multiplications instead of eight.
// Winograd 1980, "Arithmetic complexity of computations", §IV; Lavin & Gray 2016, eq. 6 and 8; with the points 0, 1,
// −1, 2 and ∞:
//
//     yᵢ = dᵢ g₀ + dᵢ₊₁ g₁ (i < 4) is y = Aᵀ ((G g) ⊙ (Bᵀ d)),
//
//          ⎡ 2 −1 −2  1  0 ⎤        ⎡  ½   0 ⎤          ⎡ 1  1  1  1  0 ⎤
//          ⎢ 0 −2 −1  1  0 ⎥        ⎢ −½  −½ ⎥          ⎢ 0  1 −1  2  0 ⎥
//     Bᵀ = ⎢ 0  2 −3  1  0 ⎥    G = ⎢ −⅙   ⅙ ⎥     Aᵀ = ⎢ 0  1  1  4  0 ⎥
//          ⎢ 0 −1  0  1  0 ⎥        ⎢  ⅙   ⅓ ⎥          ⎣ 0  1 −1  8  1 ⎦
//          ⎣ 0  2 −1 −2  1 ⎦        ⎣  0   1 ⎦
//
// Being bilinear it also gives both gradients, by the transposed matrices. Each function here is one of the six maps,
// on columns of vectors.

/// Bᵀ, of the input.
INLINE void inputMap(const float16 d[5], float16 t[5]) {
    const float16 d31 = d[3] - d[1];
    t[0] = d31 + 2.0f * (d[0] - d[2]);
    t[1] = d[3] - d[2] - 2.0f * d[1];
    t[2] = d[3] - 3.0f * d[2] + 2.0f * d[1];
    t[3] = d31;
    t[4] = d[4] - d[2] - 2.0f * d31;
}

/// B, of the input's gradient.
INLINE void inputAdjoint(const float16 t[5], float16 d[5]) {
    d[0] = 2.0f * t[0];
    d[1] = 2.0f * (t[2] - t[1] + t[4]) - t[0] - t[3];
    d[2] = -2.0f * t[0] - t[1] - 3.0f * t[2] - t[4];
    d[3] = t[0] + t[1] + t[2] + t[3] - 2.0f * t[4];
    d[4] = t[4];
}

static const float sixth = 1.0f / 6.0f, third = 1.0f / 3.0f;

/// G, of the weights.
INLINE void weightMap(const float16 g[2], float16 t[5]) {
    t[0] = 0.5f * g[0];
    t[1] = multiplyAdd16(-0.5f, g[1], -0.5f * g[0]);
    t[2] = multiplyAdd16(sixth, g[1], -sixth * g[0]);
    t[3] = multiplyAdd16(third, g[1], sixth * g[0]);
    t[4] = g[1];
}

/// Gᵀ, of the weights' gradient.
INLINE void weightAdjoint(const float16 t[5], float16 g[2]) {
    g[0] = multiplyAdd16(sixth, t[3], multiplyAdd16(-sixth, t[2], multiplyAdd16(-0.5f, t[1], 0.5f * t[0])));
    g[1] = multiplyAdd16(third, t[3], multiplyAdd16(sixth, t[2], multiplyAdd16(-0.5f, t[1], t[4])));
}

/// Aᵀ, to the output.
INLINE void outputMap(const float16 t[5], float16 y[4]) {
    const float16 sum = t[1] + t[2], difference = t[1] - t[2];
    y[0] = t[0] + sum + t[3];
    y[1] = difference + 2.0f * t[3];
    y[2] = sum + 4.0f * t[3];
    y[3] = difference + 8.0f * t[3] + t[4];
}

/// A, of the output's gradient.
INLINE void outputAdjoint(const float16 y[4], float16 t[5]) {
    const float16 even = y[0] + y[2], odd = y[1] + y[3];
    t[0] = y[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = y[0] + 2.0f * y[1] + 4.0f * y[2] + 8.0f * y[3];
    t[4] = y[3];
}

/// Applies `map` to the rows, then to the columns of a square array of vectors: `loaded` is the vector of row i and
/// column j, and the statements take away `value`, the result's.
#define TRANSFORM_SQUARE(map, from, to, work, loaded, ...)                          \
    UNROLL for (int i = 0; i < (from); i++) {                                       \
        float16 in_[from], out_[to];                                                \
        UNROLL for (int j = 0; j < (from); j++) in_[j] = (loaded);                  \
        map(in_, out_);                                                             \
        UNROLL for (int j = 0; j < (to); j++) store16((work) + (i * (to) + j) * 16, out_[j]); \
    }                                                                               \
    UNROLL for (int j = 0; j < (to); j++) {                                         \
        float16 in_[from], out_[to];                                                \
        UNROLL for (int i = 0; i < (from); i++) in_[i] = load16((work) + (i * (to) + j) * 16); \
        map(in_, out_);                                                             \
        UNROLL for (int i = 0; i < (to); i++) {                                     \
            const float16 value = out_[i];                                          \
            __VA_ARGS__                                                             \
        }                                                                           \
    }

// MARK: Images, between NHWC and the matrices of the 25 points

typedef struct {
    ptrdiff_t image, row, column;
} TilePlace;

/// Where a tile starts: its image, first output row and first output column.
INLINE TilePlace placeOf(const WinogradPlan *p, ptrdiff_t tile) {
    const ptrdiff_t row = tile / p->tileColumns;
    return (TilePlace){row / p->tileRows, row % p->tileRows * 4, tile % p->tileColumns * 4};
}

/// The i in 0 ..< 5 with 0 ≤ first + 2i < size.
INLINE Part inside(ptrdiff_t first, ptrdiff_t size) {
    const ptrdiff_t start = most((1 - first) >> 1, 0);
    return (Part){start, most(least((size - first + 1) >> 1, 5), start)};
}

/// The 5 × 5 pixels of a parity (r, s) under a tile: the offset of the first, which may be outside the image, and which
/// rows and columns are inside.
INLINE ptrdiff_t windowOf(const WinogradPlan *p, TilePlace tile, ptrdiff_t parity, Part *rows, Part *columns) {
    const ConvolutionShape *g = &p->shape;
    const ptrdiff_t top = 2 * tile.row + parity / 2 - g->padTop, left = 2 * tile.column + parity % 2 - g->padLeft;
    *rows = inside(top, g->inputHeight);
    *columns = inside(left, g->inputWidth);
    return ((tile.image * g->inputHeight + top) * g->inputWidth + left) * g->inputChannels;
}

/// The rows that the last block of tiles leaves over are no tiles: zero, so that they add nothing to the weights'
/// gradient.
static void clearRest(const WinogradPlan *p, float *matrices, ptrdiff_t point, ptrdiff_t tiles, ptrdiff_t columns) {
    if (tiles == p->rows) return;
    for (ptrdiff_t number = 0; number < 25; number++) {
        for (ptrdiff_t panel = 0; panel < columns / 16; panel++) {
            memset(matrices + (number * point + (panel * p->rows + tiles) * 16), 0,
                   (size_t)(p->rows - tiles) * 16 * sizeof *matrices);
        }
    }
}

static void transformInput(const WinogradPlan *plan, const float *input, Part tiles, float *x, float *work) {
    const WinogradPlan p = *plan;
    const ptrdiff_t channels = p.shape.inputChannels, point = p.inputPoint, rows = p.rows;
    const ptrdiff_t pixelStep = 2 * channels, rowStep = 2 * p.shape.inputWidth * channels;
    for (ptrdiff_t tile = tiles.first; tile < tiles.end; tile++) {
        for (ptrdiff_t parity = 0; parity < 4; parity++) {
            Part insideRows, insideColumns;
            const ptrdiff_t offset = windowOf(&p, placeOf(&p, tile), parity, &insideRows, &insideColumns);
            for (ptrdiff_t channel = 0; channel < channels; channel += 16) {
                const ptrdiff_t source = offset + channel;
                float *target = x + ((parity * channels + channel) * rows + (tile - tiles.first) * 16);
                TRANSFORM_SQUARE(inputMap, 5, 5, work,
                    i >= insideRows.first && i < insideRows.end && j >= insideColumns.first && j < insideColumns.end
                        ? load16(input + (source + i * rowStep + j * pixelStep)) : (float16)0, {
                    float *place = target + (i * 5 + j) * point;
                    store16(place, value);
                    prefetchForWriting(place + 16 * rows);
                })
            }
        }
    }
    clearRest(&p, x, point, tiles.end - tiles.first, 4 * channels);
}

static void transformOutputGradient(const WinogradPlan *plan, const float *gradient, Part tiles, float *z,
                                    float *work) {
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
            TRANSFORM_SQUARE(outputAdjoint, 4, 5, work,
                i < insideRows && j < insideColumns ? load16(source + (i * g->outputWidth + j) * channels)
                                                    : (float16)0, {
                float *place = target + (i * 5 + j) * point;
                store16(place, value);
                prefetchForWriting(place + 16 * rows);
            })
        }
    }
    clearRest(&p, z, point, tiles.end - tiles.first, channels);
}

static void writeOutput(const WinogradPlan *plan, const float *y, Part tiles, Part panels, float *output,
                        float *work) {
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
            TRANSFORM_SQUARE(outputMap, 5, 4, work, load16(source + (i * 5 + j) * point), {
                if (i < insideRows && j < insideColumns) store16(target + (i * g->outputWidth + j) * channels, value);
            })
        }
    }
}

static void addInputGradient(const WinogradPlan *plan, const float *x, Part tiles, ptrdiff_t parity, Part panels,
                             float *inputGradient, float *work) {
    const WinogradPlan p = *plan;
    const ptrdiff_t channels = p.shape.inputChannels, point = p.resultPoint;
    const ptrdiff_t pixelStep = 2 * channels, rowStep = 2 * p.shape.inputWidth * channels;
    for (ptrdiff_t tile = tiles.first; tile < tiles.end; tile++) {
        const TilePlace at = placeOf(&p, tile);
        Part insideRows, insideColumns;
        const ptrdiff_t offset = windowOf(&p, at, parity, &insideRows, &insideColumns);
        for (ptrdiff_t panel = panels.first; panel < panels.end; panel++) {
            const float *source = x + ((panel - panels.first) * p.rows + tile - tiles.first) * 16;
            const ptrdiff_t target = offset + panel * 16;
            TRANSFORM_SQUARE(inputAdjoint, 5, 5, work, load16(source + (i * 5 + j) * point), {
                if (i >= insideRows.first && i < insideRows.end && j >= insideColumns.first && j < insideColumns.end) {
                    float *pixel = inputGradient + (target + i * rowStep + j * pixelStep);
                    const bool isShared = (i == 0 && at.row > 0) || (j == 0 && at.column > 0);
                    store16(pixel, isShared ? load16(pixel) + value : value);
                }
            })
        }
    }
}

// MARK: Weights

/// The offset of weight [r + 2a, s + 2b, 0, 0], parity = 2r + s, tap = 2a + b.
INLINE ptrdiff_t weightOffset(const WinogradPlan *p, ptrdiff_t parity, ptrdiff_t tap) {
    const ptrdiff_t row = parity / 2 + tap / 2 * 2, column = parity % 2 + tap % 2 * 2;
    return (row * 4 + column) * p->shape.inputChannels * p->shape.outputChannels;
}

static void copyTaps(const WinogradPlan *p, const float *weight, ptrdiff_t parity, Part inputs, ptrdiff_t panel,
                     float *taps) {
    const ptrdiff_t outputs = p->shape.outputChannels;
    for (ptrdiff_t tap = 0; tap < 4; tap++) {
        const float *source = weight + (weightOffset(p, parity, tap) + inputs.first * outputs + panel * 16);
        float *target = taps + tap * p->chunkPoint;
        for (ptrdiff_t input = 0; input < inputs.end - inputs.first; input++) {
            store16(target + input * 16, load16(source + input * outputs));
        }
    }
}

static void transposeTaps(const WinogradPlan *p, const float *weight, ptrdiff_t parity, ptrdiff_t panel, Part outputs,
                          float *taps) {
    const ptrdiff_t step = p->shape.outputChannels;
    for (ptrdiff_t tap = 0; tap < 4; tap++) {
        const float *source = weight + (weightOffset(p, parity, tap) + panel * 16 * step + outputs.first);
        float *target = taps + tap * p->chunkPoint;
        for (ptrdiff_t output = 0; output < outputs.end - outputs.first; output += 16) {
            transpose16(source + output, step, target + output * 16);
        }
    }
}

/// `count` rows of a panel of U, at each of the 25 points.
static void transformWeights(const float *taps, ptrdiff_t tap, ptrdiff_t count, float *u) {
    for (ptrdiff_t row = 0; row < count; row++) {
        const float *source = taps + row * 16;
        float *target = u + row * 16;
        float16 left[5], right[5];
        weightMap((float16[2]){load16(source), load16(source + 2 * tap)}, left);
        weightMap((float16[2]){load16(source + tap), load16(source + 3 * tap)}, right);
        UNROLL for (int i = 0; i < 5; i++) {
            float16 result[5];
            weightMap((float16[2]){left[i], right[i]}, result);
            UNROLL for (int j = 0; j < 5; j++) store16(target + (5 * i + j) * tap, result[j]);
        }
    }
}

/// Fetches the next part of what is wanted.
INLINE void prefetchPart(UpcomingWeights *w) {
    for (ptrdiff_t count = 0; count < w->linesAtATime; count++) {
        if (w->tap == 4) return;
        prefetchFar(w->taps[w->tap] + (w->row * w->rowStep + 16 * w->line));
        if (++w->line == w->lines) w->line = 0, w->row++;
        if (w->row == w->rows) w->row = 0, w->tap++;
    }
}

static void addWinogradProducts(const WinogradPlan *plan, const float *image, ptrdiff_t imagePoint, ptrdiff_t count,
                                ptrdiff_t panels, float *weights, const float *taps, float *result, bool adding,
                                const UpcomingWeights *upcoming) {
    const WinogradPlan p = *plan;
    UpcomingWeights next = *upcoming;
    for (ptrdiff_t panel = 0; panel < panels; panel++) {
        transformWeights(taps + panel * 4 * p.chunkPoint, p.chunkPoint, count, weights);
        for (ptrdiff_t point = 0; point < 25; point++) {
            // The first panel's products fetch the image's values for the next point, which then stay near for the
            // other panels.
            const ptrdiff_t nextPoint = point < 24 ? imagePoint : 16 * p.rows * (count / 16) - 24 * imagePoint;
            multiplyPanels(image + point * imagePoint, 16 * p.rows, count / 16, weights + point * p.chunkPoint,
                           result + (point * p.resultPoint + panel * 16 * p.rows), p.rows, adding,
                           panel == 0 ? nextPoint : 0);
            prefetchPart(&next);
        }
    }
}

static void multiplyWinogradTransposed(const WinogradPlan *plan, const float *left, const float *right,
                                       ptrdiff_t panels, float *u, const UpcomingWeights *upcoming) {
    const WinogradPlan p = *plan;
    UpcomingWeights written = *upcoming;
    for (ptrdiff_t point = 0; point < 25; point++) {
        const float *panel = right + point * p.outputPoint;
        const WantedLines next = {panel + p.outputPoint, 16, 0};
        for (ptrdiff_t index = 0; index < panels; index++) {
            multiplyTransposed(left + (point * p.inputPoint + index * 16 * p.rows), panel, p.rows,
                               u + (point * p.gradientPoint + index * 256), false, index == 0 ? next : noLines);
            prefetchPart(&written);
        }
    }
}

static void writeWeightGradient(const WinogradPlan *plan, const float *u, ptrdiff_t parity, Part panels,
                                ptrdiff_t outputPanel, float *weightGradient, bool adding, float *work) {
    const WinogradPlan p = *plan;
    const ptrdiff_t outputs = p.shape.outputChannels, point = p.gradientPoint;
    for (ptrdiff_t panel = panels.first; panel < panels.end; panel++) {
        for (ptrdiff_t input = 0; input < 16; input++) {
            const float *source = u + ((panel - panels.first) * 256 + input * 16);
            float *target = weightGradient + ((panel * 16 + input) * outputs + outputPanel * 16);
            TRANSFORM_SQUARE(weightAdjoint, 5, 2, work, load16(source + (i * 5 + j) * point), {
                float *tap = target + weightOffset(&p, parity, 2 * i + j);
                store16(tap, adding ? load16(tap) + value : value);
            })
        }
    }
}
