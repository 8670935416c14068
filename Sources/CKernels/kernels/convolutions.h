// Convolutions in groups, of a channel each, and by windows: see GroupedConvolution.swift, DepthwiseConvolution.swift
// and WindowConvolution.swift.

// MARK: Groups

/// The group's channels of one image, `pixelStep` values from pixel to pixel, between zeros.
static void fillPlane(float *plane, const Plane *shape, const float *image, ptrdiff_t height, ptrdiff_t width,
                      ptrdiff_t pixelStep) {
    const Plane s = *shape;
    memset(plane, 0, (size_t)(s.height * s.width * s.channels) * sizeof *plane);
    // At the bottom and the right there may be pixels that no window reaches.
    const ptrdiff_t rows = least(height, (s.height - s.top - 1) / s.stepHeight + 1);
    const ptrdiff_t columns = least(width, (s.width - s.left - 1) / s.stepWidth + 1);
    for (ptrdiff_t y = 0; y < rows; y++) {
        const float *source = image + y * width * pixelStep;
        float *target = plane + ((s.top + y * s.stepHeight) * s.width + s.left) * s.channels;
        for (ptrdiff_t x = 0; x < columns; x++, source += pixelStep, target += s.stepWidth * s.channels) {
            if (s.channels == 16) {
                store16(target, load16(source));
            } else {
                for (ptrdiff_t channel = 0; channel < s.channels; channel++) target[channel] = source[channel];
            }
        }
    }
}

/// tile[r] = Σ_m Σ_k a[m · blockStep + r · rowStep + k · step] · b[m · bStep + 16 k] over m < `blocks` and k < `count`,
/// for `rowsAtATime` rows of 16 columns, as b has.
INLINE void multiplyBlocks(const float *a, ptrdiff_t blockStep, ptrdiff_t rowStep, ptrdiff_t step, ptrdiff_t blocks,
                           ptrdiff_t count, const float *b, ptrdiff_t bStep, float16 sums[mostRowsOfTile]) {
    UNROLL for (int r = 0; r < rowsAtATime; r++) sums[r] = (float16)0;
    for (ptrdiff_t m = 0; m < blocks; m++) {
        addToRows(rowsAtATime, sums, a + m * blockStep, rowStep, step, count, b + m * bStep, noLines);
    }
}

/// The first rows and columns of a tile, to rows `step` values apart.
INLINE void writeTile(const float16 sums[mostRowsOfTile], ptrdiff_t rows, ptrdiff_t columns, float *target,
                      ptrdiff_t step, bool adding) {
    float tile[16 * rowsAtATime];
    writeSums(rowsAtATime, sums, tile, false);
    for (ptrdiff_t row = 0; row < rows; row++, target += step) {
        const float *source = tile + 16 * row;
        if (columns == 16) {
            store16(target, adding ? load16(target) + load16(source) : load16(source));
        } else {
            for (ptrdiff_t column = 0; column < columns; column++) {
                target[column] = adding ? target[column] + source[column] : source[column];
            }
        }
    }
}

static void correlate(const float *plane, const Plane *shape, const float *weights, const ConvolutionShape *geometry,
                      ptrdiff_t strideHeight, ptrdiff_t strideWidth, float *output, ptrdiff_t height, ptrdiff_t width,
                      ptrdiff_t channels, ptrdiff_t pixelStep) {
    const ptrdiff_t kernelHeight = geometry->kernelHeight, terms = geometry->kernelWidth * shape->channels;
    const ptrdiff_t row = shape->width * shape->channels, pixel = strideWidth * shape->channels;
    for (ptrdiff_t y = 0; y < height; y++) {
        for (ptrdiff_t x = 0; x < width; x += rowsAtATime) {
            const float *first = plane + y * strideHeight * row + x * pixel;
            for (ptrdiff_t panel = 0; 16 * panel < channels; panel++) {
                float16 sums[mostRowsOfTile];
                multiplyBlocks(first, row, pixel, 1, kernelHeight, terms,
                               weights + panel * kernelHeight * terms * 16, terms * 16, sums);
                writeTile(sums, least(rowsAtATime, width - x), least(16, channels - 16 * panel),
                          output + (y * width + x) * pixelStep + 16 * panel, pixelStep, false);
            }
        }
    }
}

static void addGroupProducts(const float *plane, const Plane *shape, const float *gradient,
                             const ConvolutionShape *geometry, ptrdiff_t outputs, float *weightGradient) {
    const ConvolutionShape g = *geometry;
    const ptrdiff_t inputs = shape->channels, row = shape->width * inputs, terms = g.kernelWidth * inputs;
    for (ptrdiff_t i = 0; i < g.kernelHeight; i++) {
        for (ptrdiff_t term = 0; term < terms; term += rowsAtATime) {
            for (ptrdiff_t panel = 0; 16 * panel < outputs; panel++) {
                float16 sums[mostRowsOfTile];
                multiplyBlocks(plane + i * row + term, g.strideHeight * row, 1, g.strideWidth * inputs,
                               g.outputHeight, g.outputWidth,
                               gradient + panel * g.outputHeight * g.outputWidth * 16, g.outputWidth * 16, sums);
                writeTile(sums, least(rowsAtATime, terms - term), least(16, outputs - 16 * panel),
                          weightGradient + (i * terms + term) * g.outputChannels + 16 * panel, g.outputChannels, true);
            }
        }
    }
}

static void packRows(const float *values, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t columns, float *panels) {
    for (ptrdiff_t panel = 0; 16 * panel < columns; panel++) {
        const ptrdiff_t count = least(16, columns - 16 * panel);
        for (ptrdiff_t row = 0; row < rows; row++) {
            const float *source = values + row * step + 16 * panel;
            float *target = panels + (panel * rows + row) * 16;
            if (count == 16) {
                store16(target, load16(source));
            } else {
                for (ptrdiff_t i = 0; i < 16; i++) target[i] = i < count ? source[i] : 0;
            }
        }
    }
}

// MARK: A channel each

/// Which rows (or columns) of a window that begins at `first` lie within the image.
INLINE Part windowPart(ptrdiff_t first, ptrdiff_t kernel, ptrdiff_t size) {
    const ptrdiff_t start = least(most(-first, 0), kernel);
    return (Part){start, most(least(kernel, size - first), start)};
}

/// Runs the statements for each output pixel: the offset `output` of its values, that of its window's first pixel in
/// the input, `input`, which may lie outside, and the `rows` and `columns` of the window within the image.
#define EACH_WINDOW(g, batch, ...)                                                                      \
    ptrdiff_t output = 0;                                                                               \
    for (ptrdiff_t image_ = 0; image_ < (batch); image_++) {                                            \
        for (ptrdiff_t p_ = 0; p_ < (g).outputHeight; p_++) {                                           \
            const ptrdiff_t top_ = p_ * (g).strideHeight - (g).padTop;                                  \
            const Part rows = windowPart(top_, (g).kernelHeight, (g).inputHeight);                      \
            for (ptrdiff_t q_ = 0; q_ < (g).outputWidth; q_++, output += (g).inputChannels) {           \
                const ptrdiff_t left_ = q_ * (g).strideWidth - (g).padLeft;                             \
                const Part columns = windowPart(left_, (g).kernelWidth, (g).inputWidth);                \
                const ptrdiff_t input =                                                                 \
                    ((image_ * (g).inputHeight + top_) * (g).inputWidth + left_) * (g).inputChannels;   \
                __VA_ARGS__                                                                             \
            }                                                                                           \
        }                                                                                               \
    }

static void depthwiseForward(const float *x, const float *weight, float *y, const ConvolutionShape *shape,
                             ptrdiff_t batch) {
    const ConvolutionShape g = *shape;
    const ptrdiff_t channels = g.inputChannels, row = g.inputWidth * channels;
    EACH_WINDOW(g, batch, {
        EACH_EIGHT(channels, {
            float8 sum = 0;
            for (ptrdiff_t a = rows.first; a < rows.end; a++) {
                for (ptrdiff_t b = columns.first; b < columns.end; b++) {
                    sum += load(x + (input + a * row + b * channels + i), n)
                           * load(weight + (a * g.kernelWidth + b) * channels + i, n);
                }
            }
            store(y + output + i, sum, n);
        });
    })
}

static void depthwiseInputGradient(const float *gradient, const float *weight, float *dx,
                                   const ConvolutionShape *shape, ptrdiff_t batch) {
    const ConvolutionShape g = *shape;
    const ptrdiff_t channels = g.inputChannels, row = g.inputWidth * channels;
    memset(dx, 0, (size_t)(batch * g.inputHeight * row) * sizeof *dx);
    EACH_WINDOW(g, batch, {
        for (ptrdiff_t a = rows.first; a < rows.end; a++) {
            for (ptrdiff_t b = columns.first; b < columns.end; b++) {
                const float *factors = weight + (a * g.kernelWidth + b) * channels;
                float *pixel = dx + (input + a * row + b * channels);
                EACH_EIGHT(channels, {
                    store(pixel + i, load(pixel + i, n) + load(gradient + output + i, n) * load(factors + i, n), n);
                });
            }
        }
    })
}

/// dw[i, j, c] += Σ_q x[y, q·t + j − left, c] · dy[q, c] of one row of an image and of its output; `x` begins at column
/// j − left.
static void addDepthwiseRow(const float *x, const float *dy, const ConvolutionShape *g, Part outputs, float *dw) {
    const ptrdiff_t channels = g->inputChannels, step = g->strideWidth;
    EACH_EIGHT(channels, {
        float8 sum = 0;
        for (ptrdiff_t q = outputs.first; q < outputs.end; q++) {
            sum += load(x + q * step * channels + i, n) * load(dy + q * channels + i, n);
        }
        store(dw + i, load(dw + i, n) + sum, n);
    });
}

/// Sums over an output row are added to the total.
static void addDepthwiseWeightGradient(const float *x, const float *gradient, float *dw, const ConvolutionShape *shape,
                                       ptrdiff_t batch) {
    const ConvolutionShape g = *shape;
    const ptrdiff_t channels = g.inputChannels;
    for (ptrdiff_t image = 0; image < batch; image++) {
        for (ptrdiff_t p = 0; p < g.outputHeight; p++) {
            const ptrdiff_t top = p * g.strideHeight - g.padTop;
            const float *dy = gradient + (image * g.outputHeight + p) * g.outputWidth * channels;
            const ptrdiff_t end = least(g.kernelHeight, g.inputHeight - top);
            for (ptrdiff_t i = most(-top, 0); i < end; i++) {
                const ptrdiff_t row = (image * g.inputHeight + top + i) * g.inputWidth;
                for (ptrdiff_t j = 0; j < g.kernelWidth; j++) {
                    const ptrdiff_t shift = j - g.padLeft;
                    if (shift >= g.inputWidth) continue;
                    // The output pixels whose window has this column within the image.
                    const Part outputs = {most((-shift + g.strideWidth - 1) / g.strideWidth, 0),
                                          least((g.inputWidth - 1 - shift) / g.strideWidth + 1, g.outputWidth)};
                    if (outputs.first >= outputs.end) continue;
                    addDepthwiseRow(x + (row + shift) * channels, dy, &g, outputs,
                                    dw + (i * g.kernelWidth + j) * channels);
                }
            }
        }
    }
}

// MARK: Windows

static void addWindows(const float *windows, Part pixels, const ConvolutionShape *shape, float *dx) {
    const ConvolutionShape g = *shape;
    const ptrdiff_t channels = g.inputChannels, windowCount = g.kernelHeight * g.kernelWidth * channels;
    for (ptrdiff_t pixel = pixels.first; pixel < pixels.end; pixel++, windows += windowCount) {
        const ptrdiff_t row = pixel / g.outputWidth, top = row % g.outputHeight * g.strideHeight - g.padTop;
        const ptrdiff_t left = pixel % g.outputWidth * g.strideWidth - g.padLeft;
        const Part rows = windowPart(top, g.kernelHeight, g.inputHeight);
        const Part columns = windowPart(left, g.kernelWidth, g.inputWidth);
        const ptrdiff_t image = row / g.outputHeight * g.inputHeight, count = (columns.end - columns.first) * channels;
        for (ptrdiff_t i = rows.first; i < rows.end; i++) {
            const float *source = windows + (i * g.kernelWidth + columns.first) * channels;
            float *target = dx + ((image + top + i) * g.inputWidth + left + columns.first) * channels;
            for (ptrdiff_t value = 0; value < count; value++) target[value] += source[value];
        }
    }
}
