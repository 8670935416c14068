// Convolutions between an image of one to four channels and one of many: see FewChannelConvolution.swift.

enum { mostFewChannels = 4, mostKernelOfFew = 8, columnsAtATime = 64, mostVectors = 8 };

/// How many vectors of sixteen sums a channel there are registers for.
INLINE int vectorsFor(int channels) {
    const int all = PANELS_IN_REGISTERS == 2 ? 16 : 4;
    return all / channels >= 8 ? 8 : all / channels >= 4 ? 4 : all / channels >= 2 ? 2 : 1;
}

/// Runs the statement, which takes a constant `vectors`, from channel `c` on for all of `many`, as many vectors at a
/// time as there are and as `most` allows.
#define EACH_VECTORS(many, most, ...)                                                              \
    {                                                                                              \
        ptrdiff_t c = 0;                                                                           \
        if ((most) >= 8) for (; c + 128 <= (many); c += 128) { enum { vectors = 8 }; __VA_ARGS__ } \
        if ((most) >= 4) for (; c + 64 <= (many); c += 64) { enum { vectors = 4 }; __VA_ARGS__ }   \
        if ((most) >= 2) for (; c + 32 <= (many); c += 32) { enum { vectors = 2 }; __VA_ARGS__ }   \
        for (; c + 16 <= (many); c += 16) { enum { vectors = 1 }; __VA_ARGS__ }                    \
    }

/// In one direction, the pixels of the other image that a pixel meets, and the tap of the kernel at each.
typedef struct {
    ptrdiff_t count, place[mostKernelOfFew], tap[mostKernelOfFew];
} Meetings;

/// Of an output pixel with the inputs y · stride + i − pad, or of an input pixel with the outputs of which it is that.
INLINE Meetings meetings(ptrdiff_t pixel, bool isOutput, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t pad,
                         ptrdiff_t size) {
    Meetings found;
    found.count = 0;
    ptrdiff_t place = isOutput ? pixel * stride - pad : (pixel + pad) / stride;
    ptrdiff_t tap = isOutput ? 0 : (pixel + pad) % stride;
    for (; tap < kernel; tap += isOutput ? 1 : stride, place += isOutput ? 1 : -1) {
        if (place < 0 || place >= size) continue;
        found.place[found.count] = place;
        found.tap[found.count++] = tap;
    }
    return found;
}

/// The two images of a convolution, as seen from the one whose values are computed.
typedef struct {
    ptrdiff_t height, width, otherHeight, otherWidth, few, many;
    bool isOutput;
} FewView;

INLINE FewView viewOfFew(const ConvolutionShape *g, bool fewAreInputs, bool isOutput) {
    return (FewView){
        .height = isOutput ? g->outputHeight : g->inputHeight, .width = isOutput ? g->outputWidth : g->inputWidth,
        .otherHeight = isOutput ? g->inputHeight : g->outputHeight,
        .otherWidth = isOutput ? g->inputWidth : g->outputWidth,
        .few = fewAreInputs ? g->inputChannels : g->outputChannels,
        .many = fewAreInputs ? g->outputChannels : g->inputChannels, .isOutput = isOutput};
}

/// Runs the statements for each pixel of the view, with the `rows` and `columns` that it meets, its `number`, and the
/// number of the other image's first pixel. What columns meet is found once for all rows.
#define EACH_PIXEL(g, view, batch, ...)                                                                       \
    for (ptrdiff_t start_ = 0; start_ < (view).width; start_ += columnsAtATime) {                             \
        const ptrdiff_t end_ = least(start_ + columnsAtATime, (view).width);                                  \
        Meetings ofColumns_[columnsAtATime];                                                                  \
        for (ptrdiff_t column = start_; column < end_; column++) {                                            \
            ofColumns_[column - start_] = meetings(column, (view).isOutput, (g)->kernelWidth,                 \
                                                   (g)->strideWidth, (g)->padLeft, (view).otherWidth);        \
        }                                                                                                     \
        for (ptrdiff_t line_ = 0; line_ < (batch) * (view).height; line_++) {                                 \
            const ptrdiff_t other = line_ / (view).height * (view).otherHeight * (view).otherWidth;           \
            const Meetings rows = meetings(line_ % (view).height, (view).isOutput, (g)->kernelHeight,         \
                                           (g)->strideHeight, (g)->padTop, (view).otherHeight);               \
            for (ptrdiff_t column = start_; column < end_; column++) {                                        \
                const Meetings *columns = &ofColumns_[column - start_];                                       \
                const ptrdiff_t number = line_ * (view).width + column;                                       \
                __VA_ARGS__                                                                                   \
            }                                                                                                 \
        }                                                                                                     \
    }

/// Runs the statements for each meeting, with the other image's `pixel` and the number of the `tap`.
#define EACH_MEETING(g, view, rows, columns, other, ...)                                               \
    for (ptrdiff_t a_ = 0; a_ < (rows).count; a_++) {                                                  \
        for (ptrdiff_t b_ = 0; b_ < (columns).count; b_++) {                                           \
            const ptrdiff_t pixel = (other) + (rows).place[a_] * (view).otherWidth + (columns).place[b_]; \
            const ptrdiff_t tap = (rows).tap[a_] * (g)->kernelWidth + (columns).tap[b_];               \
            __VA_ARGS__                                                                                \
        }                                                                                              \
    }

/// many[pixel, c] = Σ few[pixel', s] · weights[tap, s, c], of `vectors` times sixteen channels of one pixel.
INLINE void expandPixel(int vectors, const ConvolutionShape *g, FewView view, const Meetings *rows,
                        const Meetings *columns, ptrdiff_t other, const float *few, const float *weights,
                        float *target) {
    float16 sums[mostVectors];
    UNROLL for (int v = 0; v < vectors; v++) sums[v] = (float16)0;
    EACH_MEETING(g, view, *rows, *columns, other, {
        const float *values = few + pixel * view.few, *row = weights + tap * view.few * view.many;
        for (ptrdiff_t s = 0; s < view.few; s++, row += view.many) {
            UNROLL for (int v = 0; v < vectors; v++) sums[v] = multiplyAdd16(values[s], load16(row + 16 * v), sums[v]);
        }
    })
    UNROLL for (int v = 0; v < vectors; v++) store16(target + 16 * v, sums[v]);
}

static void expandFew(const float *few, const float *weights, const ConvolutionShape *g, ptrdiff_t batch,
                      bool fewAreInputs, float *many) {
    const FewView view = viewOfFew(g, fewAreInputs, fewAreInputs);
    EACH_PIXEL(g, view, batch, {
        EACH_VECTORS(view.many, vectorsFor(2), {
            expandPixel(vectors, g, view, &rows, columns, other, few, weights + c, many + number * view.many + c);
        })
    })
}

/// The sum of the lanes, always in the same order.
INLINE float sumOfLanes(float16 vector) {
    const float8 eight = vector.lo + vector.hi;
    const __typeof__(eight.lo) four = eight.lo + eight.hi;
    const __typeof__(four.lo) two = four.lo + four.hi;
    return two[0] + two[1];
}

/// few[pixel, s] = Σ many[pixel', c] · weights[tap, s, c], of one pixel. Two or four sums for each channel, as each
/// waits for the one before.
INLINE void reducePixel(int channels, const ConvolutionShape *g, FewView view, const Meetings *rows,
                        const Meetings *columns, ptrdiff_t other, const float *many, const float *weights,
                        float *target) {
    const int chains = channels > 2 ? 2 : 4;
    float16 sums[mostFewChannels][4];
    UNROLL for (int s = 0; s < channels; s++) UNROLL for (int k = 0; k < chains; k++) sums[s][k] = (float16)0;
    EACH_MEETING(g, view, *rows, *columns, other, {
        const float *values = many + pixel * view.many, *row = weights + tap * channels * view.many;
        ptrdiff_t c = 0;
        for (; c + 16 * chains <= view.many; c += 16 * chains) {
            UNROLL for (int k = 0; k < chains; k++) {
                const float16 value = load16(values + c + 16 * k);
                UNROLL for (int s = 0; s < channels; s++) {
                    sums[s][k] = multiplyAddVectors(value, load16(row + s * view.many + c + 16 * k), sums[s][k]);
                }
            }
        }
        for (; c < view.many; c += 16) {
            const float16 value = load16(values + c);
            UNROLL for (int s = 0; s < channels; s++) {
                sums[s][0] = multiplyAddVectors(value, load16(row + s * view.many + c), sums[s][0]);
            }
        }
    })
    UNROLL for (int s = 0; s < channels; s++) {
        float16 sum = sums[s][0] + sums[s][1];
        if (chains == 4) sum += sums[s][2] + sums[s][3];
        target[s] = sumOfLanes(sum);
    }
}

static void reduceToFew(const float *many, const float *weights, const ConvolutionShape *g, ptrdiff_t batch,
                        bool fewAreInputs, float *few) {
    const FewView view = viewOfFew(g, fewAreInputs, !fewAreInputs);
    EACH_PIXEL(g, view, batch, {
        float *target = few + number * view.few;
        switch (view.few) {
        case 1: reducePixel(1, g, view, &rows, columns, other, many, weights, target); break;
        case 2: reducePixel(2, g, view, &rows, columns, other, many, weights, target); break;
        case 3: reducePixel(3, g, view, &rows, columns, other, many, weights, target); break;
        default: reducePixel(4, g, view, &rows, columns, other, many, weights, target); break;
        }
    })
}

/// sums[s, c] += Σ few[s] · many[c] over some pixels of one row, `vectors` times sixteen channels.
INLINE void addProductsOfRow(int channels, int vectors, const float *few, ptrdiff_t fewStep, const float *many,
                             ptrdiff_t manyStep, ptrdiff_t pixels, float *sums, ptrdiff_t sumStep) {
    float16 row[mostFewChannels][mostVectors];
    UNROLL for (int s = 0; s < channels; s++) UNROLL for (int v = 0; v < vectors; v++) row[s][v] = (float16)0;
    for (ptrdiff_t pixel = 0; pixel < pixels; pixel++, few += fewStep, many += manyStep) {
        UNROLL for (int v = 0; v < vectors; v++) {
            const float16 value = load16(many + 16 * v);
            UNROLL for (int s = 0; s < channels; s++) row[s][v] = multiplyAdd16(few[s], value, row[s][v]);
        }
    }
    UNROLL for (int s = 0; s < channels; s++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            float *place = sums + s * sumStep + 16 * v;
            store16(place, load16(place) + row[s][v]);
        }
    }
}

INLINE void addProductsOfImage(int channels, const float *few, const float *many, const ConvolutionShape *g,
                               bool fewAreInputs, float *sums) {
    const ptrdiff_t wide = fewAreInputs ? g->outputChannels : g->inputChannels;
    const ptrdiff_t fewStep = channels * (fewAreInputs ? g->strideWidth : 1);
    const ptrdiff_t manyStep = wide * (fewAreInputs ? 1 : g->strideWidth);
    for (ptrdiff_t y = 0; y < g->outputHeight; y++) {
        for (ptrdiff_t i = 0; i < g->kernelHeight; i++) {
            const ptrdiff_t row = y * g->strideHeight + i - g->padTop;
            if (row < 0 || row >= g->inputHeight) continue;
            for (ptrdiff_t j = 0; j < g->kernelWidth; j++) {
                // The output columns x with 0 ≤ x · stride + j − padLeft < width.
                const ptrdiff_t before = g->padLeft - j, first = before > 0 ? (before - 1) / g->strideWidth + 1 : 0;
                const ptrdiff_t after = g->inputWidth - 1 + before;
                const ptrdiff_t end = after < 0 ? 0 : least(after / g->strideWidth + 1, g->outputWidth);
                if (first >= end) continue;
                const ptrdiff_t output = y * g->outputWidth + first;
                const ptrdiff_t input = row * g->inputWidth + first * g->strideWidth - before;
                const float *narrow = few + (fewAreInputs ? input : output) * channels;
                const float *broad = many + (fewAreInputs ? output : input) * wide;
                float *target = sums + (i * g->kernelWidth + j) * channels * wide;
                EACH_VECTORS(wide, vectorsFor(channels), {
                    addProductsOfRow(channels, vectors, narrow, fewStep, broad + c, manyStep, end - first, target + c,
                                     wide);
                })
            }
        }
    }
}

static void addProductsOfFew(const float *few, const float *many, const ConvolutionShape *g, ptrdiff_t batch,
                             bool fewAreInputs, float *sums, float *sumsOfImage) {
    const ptrdiff_t channels = fewAreInputs ? g->inputChannels : g->outputChannels;
    const ptrdiff_t inputs = g->inputHeight * g->inputWidth * g->inputChannels;
    const ptrdiff_t outputs = g->outputHeight * g->outputWidth * g->outputChannels;
    const ptrdiff_t count = g->kernelHeight * g->kernelWidth * g->inputChannels * g->outputChannels;
    for (ptrdiff_t image = 0; image < batch; image++) {
        const float *narrow = few + image * (fewAreInputs ? inputs : outputs);
        const float *broad = many + image * (fewAreInputs ? outputs : inputs);
        memset(sumsOfImage, 0, (size_t)count * sizeof *sumsOfImage);
        switch (channels) {
        case 1: addProductsOfImage(1, narrow, broad, g, fewAreInputs, sumsOfImage); break;
        case 2: addProductsOfImage(2, narrow, broad, g, fewAreInputs, sumsOfImage); break;
        case 3: addProductsOfImage(3, narrow, broad, g, fewAreInputs, sumsOfImage); break;
        default: addProductsOfImage(4, narrow, broad, g, fewAreInputs, sumsOfImage); break;
        }
        for (ptrdiff_t index = 0; index < count; index += 16) {
            store16(sums + index, load16(sums + index) + load16(sumsOfImage + index));
        }
    }
}
