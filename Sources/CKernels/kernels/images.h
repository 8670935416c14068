// Maxout, and windows and taps over images: see Maxout.swift, Pooling.swift and Resampling.swift.

INLINE float8 gather(const float *start, ptrdiff_t distance, ptrdiff_t n) {
    float8 vector = 0;
    if (n == 8) {
        UNROLL for (int lane = 0; lane < 8; lane++) vector[lane] = start[lane * distance];
    } else {
        for (ptrdiff_t lane = 0; lane < n; lane++) vector[lane] = start[lane * distance];
    }
    return vector;
}

INLINE void scatter(float *start, ptrdiff_t distance, float8 vector, ptrdiff_t n) {
    if (n == 8) {
        UNROLL for (int lane = 0; lane < 8; lane++) start[lane * distance] = vector[lane];
    } else {
        for (ptrdiff_t lane = 0; lane < n; lane++) start[lane * distance] = vector[lane];
    }
}

static void maxout(const float *maps, ptrdiff_t pieces, float *y, float *winners, ptrdiff_t count) {
    EACH_EIGHT(count, {
        const float *first = maps + i * pieces;
        float8 best = gather(first, pieces, n), winner = 0;
        for (ptrdiff_t piece = 1; piece < pieces; piece++) {
            const float8 value = gather(first + piece, pieces, n);
            const int8 wins = (value > best) | (value != value);
            best = wins ? value : best;
            winner = wins ? (float8)(float)piece : winner;
        }
        store(y + i, best, n);
        store(winners + i, winner, n);
    });
}

// MARK: Pooling

/// Runs the statements for each window: the first value `output` of its output, and the first value `input`, the
/// `rows` and the `columns` of its part of the image.
#define EACH_POOL(g, batch, ...)                                                                    \
    ptrdiff_t output = 0;                                                                           \
    for (ptrdiff_t image_ = 0; image_ < (batch); image_++) {                                        \
        for (ptrdiff_t y_ = 0; y_ < (g).outputHeight; y_++) {                                       \
            const ptrdiff_t rows = least((g).size, (g).height - y_ * (g).stride);                   \
            for (ptrdiff_t x_ = 0; x_ < (g).outputWidth; x_++, output += (g).channels) {            \
                const ptrdiff_t columns = least((g).size, (g).width - x_ * (g).stride);             \
                const ptrdiff_t input =                                                             \
                    ((image_ * (g).height + y_ * (g).stride) * (g).width + x_ * (g).stride) * (g).channels; \
                __VA_ARGS__                                                                         \
            }                                                                                       \
        }                                                                                           \
    }

static void poolMaximum(const float *x, const PoolingShape *shape, ptrdiff_t batch, float *y, float *winners) {
    const PoolingShape g = *shape;
    EACH_POOL(g, batch, {
        const float *first = x + input;
        float *maxima = y + output, *places = winners + output;
        EACH_EIGHT(g.channels, {
            float8 best = load(first + i, n), place = 0;
            for (ptrdiff_t a = 0; a < rows; a++) {
                for (ptrdiff_t b = a == 0 ? 1 : 0; b < columns; b++) {
                    const float8 value = load(first + (a * g.width + b) * g.channels + i, n);
                    // A NaN wins and stays, as in maxout.
                    const int8 wins = (value > best) | (value != value);
                    best = wins ? value : best;
                    place = wins ? (float8)(float)(a * g.size + b) : place;
                }
            }
            store(maxima + i, best, n);
            store(places + i, place, n);
        });
    })
}

static void poolSum(const float *x, const PoolingShape *shape, ptrdiff_t batch, bool isMean, float *y) {
    const PoolingShape g = *shape;
    EACH_POOL(g, batch, {
        const float *first = x + input;
        const float share = 1.0f / (float)(rows * columns);
        EACH_EIGHT(g.channels, {
            float8 sum = 0;
            for (ptrdiff_t a = 0; a < rows; a++) {
                for (ptrdiff_t b = 0; b < columns; b++) sum += load(first + (a * g.width + b) * g.channels + i, n);
            }
            store(y + output + i, isMean ? sum * share : sum, n);
        });
    })
}

static void poolSumGradient(const float *gradient, const PoolingShape *shape, ptrdiff_t batch, bool isMean,
                            float *dx) {
    const PoolingShape g = *shape;
    EACH_POOL(g, batch, {
        const float share = isMean ? 1.0f / (float)(rows * columns) : 1.0f;
        const float *dy = gradient + output;
        for (ptrdiff_t a = 0; a < rows; a++) {
            for (ptrdiff_t b = 0; b < columns; b++) {
                float *pixel = dx + input + (a * g.width + b) * g.channels;
                EACH_EIGHT(g.channels, { store(pixel + i, load(pixel + i, n) + load(dy + i, n) * share, n); });
            }
        }
    })
}

// MARK: Resampling

/// The input pixel of tap `number` of output pixel p, and its weight; outside the image the weight is 0.
INLINE ptrdiff_t tapOf(const ResamplingShape *s, ptrdiff_t number, ptrdiff_t p, ptrdiff_t size, float *weight) {
    switch (s->filter) {
        case resamplingNearest:
            *weight = 1.0f;
            return p / s->factor;
        case resamplingMean:
            *weight = 1.0f / (float)s->factor;
            return p * s->factor + number;
        case resamplingLinear: {
            // (2p + 1 − f) / 2f, in whole numbers.
            const ptrdiff_t doubled = most(2 * p + 1 - s->factor, 0), pixel = doubled / (2 * s->factor);
            const float share = (float)(doubled % (2 * s->factor)) / (float)(2 * s->factor);
            const bool hasNext = pixel + 1 < size;
            *weight = number == 0 ? (hasNext ? 1.0f - share : 1.0f) : (hasNext ? share : 0.0f);
            return pixel + number;
        }
        case resamplingBinomialDown: {
            const ptrdiff_t pixel = 2 * p - 1 + number;
            *weight = pixel < 0 || pixel >= size ? 0.0f : number == 0 || number == 3 ? 0.125f : 0.375f;
            return pixel;
        }
        case resamplingBinomialUp: {
            if (number == 0) {
                *weight = 0.75f;
                return p / 2;
            }
            const ptrdiff_t pixel = p / 2 + (p % 2 == 0 ? -1 : 1);
            *weight = pixel < 0 || pixel >= size ? 0.0f : 0.25f;
            return pixel;
        }
    }
    return 0;
}

/// Runs the statements with the offsets of an `input` and an `output` pixel, and the `weight` that joins them.
#define EACH_TAP(s, batch, ...)                                                                             \
    for (ptrdiff_t image_ = 0; image_ < (batch); image_++) {                                                \
        for (ptrdiff_t p_ = 0; p_ < (s).outputHeight; p_++) {                                               \
            for (ptrdiff_t a_ = 0; a_ < (s).taps; a_++) {                                                   \
                float rowWeight_, columnWeight_;                                                            \
                const ptrdiff_t y_ = tapOf(&(s), a_, p_, (s).height, &rowWeight_);                          \
                if (rowWeight_ == 0) continue;                                                              \
                for (ptrdiff_t q_ = 0; q_ < (s).outputWidth; q_++) {                                        \
                    const ptrdiff_t output =                                                                \
                        ((image_ * (s).outputHeight + p_) * (s).outputWidth + q_) * (s).channels;           \
                    for (ptrdiff_t b_ = 0; b_ < (s).taps; b_++) {                                           \
                        const ptrdiff_t x_ = tapOf(&(s), b_, q_, (s).width, &columnWeight_);                \
                        if (columnWeight_ == 0) continue;                                                   \
                        const ptrdiff_t input = ((image_ * (s).height + y_) * (s).width + x_) * (s).channels; \
                        const float weight = rowWeight_ * columnWeight_;                                    \
                        __VA_ARGS__                                                                         \
                    }                                                                                       \
                }                                                                                           \
            }                                                                                               \
        }                                                                                                   \
    }

static void resample(const float *x, const ResamplingShape *shape, ptrdiff_t batch, float *y) {
    const ResamplingShape s = *shape;
    EACH_TAP(s, batch, {
        const float *source = x + input;
        float *target = y + output;
        EACH_EIGHT(s.channels, { store(target + i, load(target + i, n) + load(source + i, n) * weight, n); });
    })
}

static void resampleGradient(const float *gradient, const ResamplingShape *shape, ptrdiff_t batch, float *dx) {
    const ResamplingShape s = *shape;
    EACH_TAP(s, batch, {
        const float *source = gradient + output;
        float *target = dx + input;
        EACH_EIGHT(s.channels, { store(target + i, load(target + i, n) + load(source + i, n) * weight, n); });
    })
}

// MARK: 3 × 3 convolutions beside a resampling by two

/// The first of the two taps of 3 whose sum is tap k of 4: see WidenedConvolution.
INLINE ptrdiff_t firstTap(ptrdiff_t k, bool isTransposed) { return isTransposed ? 2 - k : k - 1; }

/// Runs the statements for each eight inputs of an output, with the first `c`, their number `n`, and where their
/// weights begin in either layout: `i` in [O, I], and in [I, O], `outputs` apart, `j`.
#define EACH_EIGHT_INPUTS(inputs, outputs, ...)                    \
    EACH_EIGHT_OF_ROWS(outputs, inputs, {                          \
        const ptrdiff_t j = c * (outputs) + row_;                  \
        __VA_ARGS__                                                \
    })

static void widenKernel(const float *narrow, ptrdiff_t inputs, ptrdiff_t outputs, bool isTransposed, float *wide) {
    const ptrdiff_t count = inputs * outputs;
    for (ptrdiff_t k = 0; k < 4; k++) {
        const ptrdiff_t row = most(firstTap(k, isTransposed), 0), lastRow = least(firstTap(k, isTransposed) + 1, 2);
        for (ptrdiff_t l = 0; l < 4; l++, wide += count) {
            const ptrdiff_t column = most(firstTap(l, isTransposed), 0);
            // From the first of the taps to the one beside it and below it, or itself.
            const ptrdiff_t beside = (least(firstTap(l, isTransposed) + 1, 2) - column) * count;
            const ptrdiff_t below = (lastRow - row) * 3 * count;
            const float *first = narrow + (3 * row + column) * count;
            if (isTransposed) {
                EACH_EIGHT_INPUTS(inputs, outputs, {
                    float8 sum = gather(first + j, outputs, n);
                    if (beside) sum += gather(first + beside + j, outputs, n);
                    if (below) sum += gather(first + below + j, outputs, n);
                    if (beside && below) sum += gather(first + below + beside + j, outputs, n);
                    store(wide + i, sum, n);
                })
            } else {
                EACH_EIGHT(count, {
                    float8 sum = load(first + i, n);
                    if (beside) sum += load(first + beside + i, n);
                    if (below) sum += load(first + below + i, n);
                    if (beside && below) sum += load(first + below + beside + i, n);
                    store(wide + i, sum * 0.25f, n);
                });
            }
        }
    }
}

static void widenKernelGradient(
    const float *wide, ptrdiff_t inputs, ptrdiff_t outputs, bool isTransposed, bool adding, float *narrow) {
    const ptrdiff_t count = inputs * outputs;
    for (ptrdiff_t a = 0; a < 3; a++) {
        for (ptrdiff_t b = 0; b < 3; b++, narrow += count) {
            const float *first = wide + (isTransposed ? 4 * (2 - a) + 2 - b : 4 * a + b) * count;
            if (isTransposed) {
                EACH_EIGHT_INPUTS(inputs, outputs, {
                    float8 sum = load(first + i, n) + load(first + count + i, n);
                    sum += load(first + 4 * count + i, n) + load(first + 5 * count + i, n);
                    if (adding) sum += gather(narrow + j, outputs, n);
                    scatter(narrow + j, outputs, sum, n);
                })
            } else {
                EACH_EIGHT(count, {
                    float8 sum = load(first + i, n) + load(first + count + i, n);
                    sum += load(first + 4 * count + i, n) + load(first + 5 * count + i, n);
                    sum *= 0.25f;
                    store(narrow + i, adding ? load(narrow + i, n) + sum : sum, n);
                });
            }
        }
    }
}
