// Normalisation over a batch, a group of channels, an example and a pixel: see the Swift file of each name.

// MARK: Batch

static void normalise(const float *x, const float *mean, const float *inverse, const float *factors,
                      const float *shift, float slope, float *y, ptrdiff_t rows, ptrdiff_t columns) {
    EACH_EIGHT_OF_ROWS(rows, columns, {
        const float8 factor = load(inverse + c, n) * load(factors + c, n);
        const float8 deviation = load(x + i, n) - load(mean + c, n);
        const float8 value = deviation * factor + load(shift + c, n);
        store(y + i, value < 0.0f ? value * slope : value, n);
    })
}

static void sumBatchGradients(const float *gradient, const float *x, const BatchStatistics *batch, float slope,
                              float *shiftSums, float *scaleSums, ptrdiff_t rows, ptrdiff_t columns) {
    const BatchStatistics s = *batch;
    ADD_TWO_COLUMN_SUMS(rows, columns, shiftSums, scaleSums, {
        const float8 inverse = load(s.inverse + c, n);
        const float8 deviation = load(x + i, n) - load(s.mean + c, n);
        // As in `normalise`, to the bit: the sign must be the same.
        const float8 value = deviation * (inverse * load(s.scale + c, n)) + load(s.shift + c, n);
        const float8 dy = load(gradient + i, n);
        a = value > 0.0f ? dy : dy * slope;
        b = a * (deviation * inverse);
    })
}

static void batchInputGradient(const float *gradient, const float *x, const BatchStatistics *batch, float slope,
                               const float *shiftSums, const float *scaleSums, float share, float *dx, ptrdiff_t rows,
                               ptrdiff_t columns) {
    const BatchStatistics s = *batch;
    EACH_EIGHT_OF_ROWS(rows, columns, {
        const float8 inverse = load(s.inverse + c, n), factor = inverse * load(s.scale + c, n);
        const float8 deviation = load(x + i, n) - load(s.mean + c, n);
        const float8 value = deviation * factor + load(s.shift + c, n);
        const float8 dy = load(gradient + i, n);
        const float8 inner = value > 0.0f ? dy : dy * slope;
        const float8 common = load(shiftSums + c, n) * share;
        const float8 along = deviation * inverse * (load(scaleSums + c, n) * share);
        store(dx + i, factor * (inner - common - along), n);
    })
}

// MARK: Groups of channels

/// v, given mean and 1/d of each channel.
#define STANDARDISED ((load(x + i, n) - load(mean + c, n)) * load(inverse + c, n))

static void sumWithStandardised(const float *values, const float *x, const float *mean, const float *inverse,
                                float *first, float *second, ptrdiff_t rows, ptrdiff_t columns) {
    ADD_TWO_COLUMN_SUMS(rows, columns, first, second, {
        a = load(values + i, n);
        b = a * STANDARDISED;
    })
}

INLINE void groupDerivativeOf(const float *values, const float *x, const float *mean, const float *inverse,
                              const float *first, const float *second, const float *factors, const float *after,
                              float share, float *y, ptrdiff_t rows, ptrdiff_t columns) {
    EACH_EIGHT_OF_ROWS(rows, columns, {
        const float8 v = STANDARDISED;
        float8 value = load(values + i, n);
        if (factors) value *= load(factors + c, n);
        value = value - load(first + c, n) - v * load(second + c, n);
        value = value * load(inverse + c, n) + v * share;
        if (after) value *= load(after + c, n);
        store(y + i, value, n);
    })
}

static void groupDerivative(const float *values, const float *x, const float *mean, const float *inverse,
                            const float *first, const float *second, const float *factors, const float *after,
                            float share, float *y, ptrdiff_t rows, ptrdiff_t columns) {
    if (factors && after) {
        groupDerivativeOf(values, x, mean, inverse, first, second, factors, after, share, y, rows, columns);
    } else if (factors) {
        groupDerivativeOf(values, x, mean, inverse, first, second, factors, NULL, share, y, rows, columns);
    } else if (after) {
        groupDerivativeOf(values, x, mean, inverse, first, second, NULL, after, share, y, rows, columns);
    } else {
        groupDerivativeOf(values, x, mean, inverse, first, second, NULL, NULL, share, y, rows, columns);
    }
}

static void sumGroupGradients(const float *gradient, const float *factors, const float *tangent, float *ofE,
                              float *ofT, ptrdiff_t rows, ptrdiff_t columns) {
    ADD_TWO_COLUMN_SUMS(rows, columns, ofE, ofT, {
        a = load(gradient + i, n) * load(factors + c, n);
        b = load(tangent + i, n);
    })
}

#define GRADIENT_A (load(gradient + i, n) * load(factors + c, n) - load(ofE + c, n))
#define TANGENT_B (load(tangent + i, n) - load(ofT + c, n))

static void sumGroupProducts(const float *gradient, const float *factors, const float *tangent, const float *x,
                             const float *mean, const float *inverse, const float *ofE, const float *ofT, float *ab,
                             float *av, float *bv, ptrdiff_t rows, ptrdiff_t columns) {
    ADD_TWO_COLUMN_SUMS(rows, columns, ab, av, {
        const float8 e = GRADIENT_A;
        a = e * TANGENT_B;
        b = e * STANDARDISED;
    })
    ADD_COLUMN_SUMS(rows, columns, bv, TANGENT_B * STANDARDISED)
}

static void groupCurvature(const float *gradient, const float *factors, const float *tangent, const float *x,
                           const float *mean, const float *inverse, const float *ofE, const float *ofT,
                           const float *ab, const float *av, const float *bv, float *dx, bool adding, ptrdiff_t rows,
                           ptrdiff_t columns) {
    EACH_EIGHT_OF_ROWS(rows, columns, {
        const float8 bent =
            STANDARDISED * load(ab + c, n) + GRADIENT_A * load(bv + c, n) + TANGENT_B * load(av + c, n);
        store(dx + i, adding ? load(dx + i, n) + bent : bent, n);
    })
}

// MARK: One example

static double sumOfValues(const float *x, ptrdiff_t count) {
    RunningSum sum = {0};
    EACH_EIGHT(count, { add(&sum, load(x + i, n)); });
    return total(sum);
}

static double sumOfSquaresAround(const float *x, float mean, ptrdiff_t count) {
    RunningSum sum = {0};
    EACH_EIGHT(count, {
        const float8 deviation = load(x + i, n) - mean;
        add(&sum, keep(deviation * deviation, n));
    });
    return total(sum);
}

static void standardise(const float *x, float mean, float inverse, float *y, ptrdiff_t count) {
    EACH_EIGHT(count, { store(y + i, (load(x + i, n) - mean) * inverse, n); });
}

static void layerDerivative(const float *tangent, const float *v, float inverse, float *y, ptrdiff_t count) {
    RunningSum sum = {0}, products = {0};
    EACH_EIGHT(count, {
        const float8 t = load(tangent + i, n);
        add(&sum, t);
        add(&products, t * load(v + i, n));
    });
    const float mean = (float)(total(sum) / (double)count), along = (float)(total(products) / (double)count);
    EACH_EIGHT(count, { store(y + i, (load(tangent + i, n) - mean - load(v + i, n) * along) * inverse, n); });
}

static void layerCurvature(const float *gradient, const float *tangent, const float *v, float inverse, float *dx,
                           bool adding, ptrdiff_t count) {
    const double m = (double)count;
    const float ofE = (float)(sumOfValues(gradient, count) / m), ofT = (float)(sumOfValues(tangent, count) / m);
    RunningSum ab = {0}, av = {0}, bv = {0};
    EACH_EIGHT(count, {
        const float8 a = keep(load(gradient + i, n) - ofE, n), b = keep(load(tangent + i, n) - ofT, n);
        const float8 standard = load(v + i, n);
        add(&ab, a * b);
        add(&av, a * standard);
        add(&bv, b * standard);
    });
    const double factor = -(double)inverse * (double)inverse / m;
    const float ofV = (float)(factor * (total(ab) - 3 / m * total(av) * total(bv)));
    const float ofA = (float)(factor * total(bv)), ofB = (float)(factor * total(av));
    EACH_EIGHT(count, {
        const float8 a = load(gradient + i, n) - ofE, b = load(tangent + i, n) - ofT;
        const float8 bent = load(v + i, n) * ofV + a * ofA + b * ofB;
        store(dx + i, adding ? load(dx + i, n) + bent : bent, n);
    });
}

// MARK: One pixel

INLINE float inverseNorm(const float *x, float epsilon, ptrdiff_t channels) {
    return (float)(1 / __builtin_elementwise_sqrt(sumOfProducts(x, x, channels) / (double)channels + (double)epsilon));
}

static void pixelNormalise(const float *x, float epsilon, float *y, ptrdiff_t pixels, ptrdiff_t channels) {
    for (ptrdiff_t pixel = 0; pixel < pixels; pixel++, x += channels, y += channels) {
        const float r = inverseNorm(x, epsilon, channels);
        EACH_EIGHT(channels, { store(y + i, load(x + i, n) * r, n); });
    }
}

static void pixelDerivative(const float *t, const float *x, float epsilon, float *y, ptrdiff_t pixels,
                            ptrdiff_t channels) {
    for (ptrdiff_t pixel = 0; pixel < pixels; pixel++, t += channels, x += channels, y += channels) {
        const float r = inverseNorm(x, epsilon, channels);
        // y ⟨y, t⟩ / C = x · r² ⟨x, t⟩ / C.
        const float along = (float)((double)r * (double)r * sumOfProducts(x, t, channels) / (double)channels);
        EACH_EIGHT(channels, { store(y + i, (load(t + i, n) - load(x + i, n) * along) * r, n); });
    }
}

static void pixelCurvature(const float *e, const float *t, const float *x, float epsilon, float *dx, bool adding,
                           ptrdiff_t pixels, ptrdiff_t channels) {
    const double count = (double)channels;
    for (ptrdiff_t pixel = 0; pixel < pixels; pixel++) {
        const double r = (double)inverseNorm(x, epsilon, channels);
        const double ye = r * sumOfProducts(x, e, channels), yt = r * sumOfProducts(x, t, channels);
        const double factor = -r * r / count;
        const float ofX = (float)(factor * r * (sumOfProducts(e, t, channels) - 3 / count * ye * yt));
        const float ofE = (float)(factor * yt), ofT = (float)(factor * ye);
        EACH_EIGHT(channels, {
            const float8 bent = load(x + i, n) * ofX + load(e + i, n) * ofE + load(t + i, n) * ofT;
            store(dx + i, adding ? load(dx + i, n) + bent : bent, n);
        });
        e += channels, t += channels, x += channels, dx += channels;
    }
}

// MARK: The softmax of attention: see Attention.swift

static void softmax(float *scores, ptrdiff_t rows, ptrdiff_t columns) {
    for (float *row = scores; row < scores + rows * columns; row += columns) {
        float highest = -__builtin_inff();
        for (ptrdiff_t column = 0; column < columns; column++) {
            highest = row[column] >= highest ? row[column] : highest;
        }
        RunningSum sum = {0};
        EACH_EIGHT(columns, {
            const float8 e = keep(exp8(load(row + i, n) - highest), n);
            store(row + i, e, n);
            add(&sum, e);
        });
        const float inverse = (float)(1 / total(sum));
        EACH_EIGHT(columns, { store(row + i, load(row + i, n) * inverse, n); });
    }
}

static void softmaxDerivative(const float *t, const float *weights, float *y, ptrdiff_t rows, ptrdiff_t columns) {
    for (ptrdiff_t row = 0; row < rows; row++, t += columns, weights += columns, y += columns) {
        const float mean = (float)sumOfProducts(weights, t, columns);
        EACH_EIGHT(columns, { store(y + i, load(weights + i, n) * (load(t + i, n) - mean), n); });
    }
}

static void addSoftmaxCurvature(const float *e, const float *t, const float *weights, float *sum, ptrdiff_t rows,
                                ptrdiff_t columns) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float ofE = (float)sumOfProducts(weights, t, columns), ofT = (float)sumOfProducts(weights, e, columns);
        EACH_EIGHT(columns, {
            const float8 ei = load(e + i, n), ti = load(t + i, n);
            store(sum + i, load(sum + i, n) + ei * (ti - ofE) - ti * ofT, n);
        });
        e += columns, t += columns, weights += columns, sum += columns;
    }
}

// MARK: Examples of a minibatch: see MinibatchDeviation.swift

/// mean[f], and σ[f] into `deviation`, of eight features.
INLINE float8 meanOfExamples(const float *x, ptrdiff_t examples, ptrdiff_t values, ptrdiff_t n, float epsilon,
                             float8 *deviation) {
    float8 mean = 0, squares = 0;
    for (ptrdiff_t example = 0; example < examples; example++) mean += load(x + example * values, n);
    mean /= (float)examples;
    for (ptrdiff_t example = 0; example < examples; example++) {
        const float8 difference = load(x + example * values, n) - mean;
        squares += difference * difference;
    }
    *deviation = __builtin_elementwise_sqrt(squares / (float)examples + epsilon);
    return mean;
}

static double sumOfDeviations(const float *x, ptrdiff_t examples, ptrdiff_t values, float epsilon) {
    RunningSum sum = {0};
    EACH_EIGHT(values, {
        float8 deviation;
        meanOfExamples(x + i, examples, values, n, epsilon, &deviation);
        // The lanes without a value hold √ε.
        add(&sum, keep(deviation, n));
    });
    return total(sum);
}

static void addDeviationGradient(const float *x, ptrdiff_t examples, ptrdiff_t values, float epsilon, float share,
                                 float *gradients) {
    EACH_EIGHT(values, {
        float8 deviation;
        const float8 mean = meanOfExamples(x + i, examples, values, n, epsilon, &deviation);
        const float8 factor = share / deviation;
        for (ptrdiff_t example = 0; example < examples; example++) {
            const ptrdiff_t place = example * values + i;
            store(gradients + place, load(gradients + place, n) + (load(x + place, n) - mean) * factor, n);
        }
    });
}
