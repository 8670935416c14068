// Parameter updates in one pass over flat buffers: see OptimiserKernels.swift. Each returns Σ of the squares of the
// gradient given.

static double descend(float *values, const float *gradients, float factor, float rate, ptrdiff_t count) {
    RunningSum norm = {0};
    EACH_EIGHT(count, {
        const float8 gradient = load(gradients + i, n);
        add(&norm, gradient * gradient);
        store(values + i, load(values + i, n) - rate * (factor * gradient), n);
    });
    return total(norm);
}

static double descendWithMomentum(float *values, const float *gradients, float factor, float *velocity, float rate,
                                  float momentum, ptrdiff_t count) {
    RunningSum norm = {0};
    EACH_EIGHT(count, {
        const float8 gradient = load(gradients + i, n);
        add(&norm, gradient * gradient);
        const float8 next = momentum * load(velocity + i, n) - rate * (factor * gradient);
        store(velocity + i, next, n);
        store(values + i, load(values + i, n) + next, n);
    });
    return total(norm);
}

/// Moves the moments at i and returns the step that follows from them.
INLINE float8 adamStep(const AdamUpdate *u, float *first, float *second, float8 gradient, ptrdiff_t i, ptrdiff_t n) {
    const float8 mean = u->keepFirst * load(first + i, n) + u->takeFirst * gradient;
    const float8 square = u->keepSecond * load(second + i, n) + u->takeSecond * (gradient * gradient);
    store(first + i, mean, n);
    store(second + i, square, n);
    return u->rate * mean / (__builtin_elementwise_sqrt(square) * u->correction + u->epsilon);
}

static double adam(float *values, const float *gradients, float factor, float *first, float *second,
                   const AdamUpdate *update, float kept, ptrdiff_t count) {
    const AdamUpdate u = *update;
    RunningSum norm = {0};
    EACH_EIGHT(count, {
        const float8 gradient = load(gradients + i, n);
        add(&norm, gradient * gradient);
        const float8 step = adamStep(&u, first, second, factor * gradient, i, n);
        store(values + i, kept * load(values + i, n) - step, n);
    });
    return total(norm);
}

static double optimisticAdam(float *values, const float *gradients, float factor, float *first, float *second,
                             float *previous, const AdamUpdate *update, ptrdiff_t count) {
    const AdamUpdate u = *update;
    RunningSum norm = {0};
    EACH_EIGHT(count, {
        const float8 gradient = load(gradients + i, n);
        add(&norm, gradient * gradient);
        const float8 step = adamStep(&u, first, second, factor * gradient, i, n);
        store(values + i, load(values + i, n) - 2.0f * step + load(previous + i, n), n);
        store(previous + i, step, n);
    });
    return total(norm);
}

static double rmsprop(float *values, const float *gradients, float factor, float *second, float rate, float keeping,
                      float taking, float epsilon, ptrdiff_t count) {
    RunningSum norm = {0};
    EACH_EIGHT(count, {
        const float8 given = load(gradients + i, n), gradient = factor * given;
        add(&norm, given * given);
        const float8 square = keeping * load(second + i, n) + taking * (gradient * gradient);
        store(second + i, square, n);
        store(values + i, load(values + i, n) - rate * gradient / (__builtin_elementwise_sqrt(square) + epsilon), n);
    });
    return total(norm);
}

static void moveAverage(float *average, const float *values, float share, ptrdiff_t count) {
    EACH_EIGHT(count, {
        const float8 old = load(average + i, n);
        store(average + i, old + share * (load(values + i, n) - old), n);
    });
}

static void clamp(float *values, float bound, ptrdiff_t count) {
    EACH_EIGHT(count, {
        const float8 value = load(values + i, n), below = value > bound ? (float8)bound : value;
        store(values + i, below < -bound ? (float8)-bound : below, n);
    });
}

// MARK: The spectral norm: see SpectralNorm.swift

/// Σ x y in float, in four vectors.
INLINE double productInFloat(const float *x, const float *y, ptrdiff_t count) {
    float8 sums[4] = {0, 0, 0, 0};
    ptrdiff_t i = 0;
    for (; i + 32 <= count; i += 32) {
        UNROLL for (int k = 0; k < 4; k++) sums[k] += load(x + i + 8 * k, 8) * load(y + i + 8 * k, 8);
    }
    for (; i + 8 <= count; i += 8) sums[0] += load(x + i, 8) * load(y + i, 8);
    if (i < count) sums[0] += load(x + i, count - i) * load(y + i, count - i);
    const float8 sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double total = 0;
    for (int lane = 0; lane < 8; lane++) total += (double)sum[lane];
    return total;
}

enum { termsInFloat = 64 };

static void addProductsWithRows(const float *matrix, const float *x, double *products, ptrdiff_t rows,
                                ptrdiff_t columns) {
    for (ptrdiff_t row = 0; row < rows; row++, matrix += columns) {
        for (ptrdiff_t start = 0; start < columns; start += 32 * termsInFloat) {
            const ptrdiff_t count = least(32 * termsInFloat, columns - start);
            products[row] += productInFloat(matrix + start, x + start, count);
        }
    }
}

// Eight rows at a time, as each needs the partial sum read and written.
static void addRowsTimes(const float *matrix, const float *x, double *products, float *partial, ptrdiff_t rows,
                         ptrdiff_t columns) {
    for (ptrdiff_t row = 0; row < rows;) {
        const ptrdiff_t end = least(row + termsInFloat, rows);
        memset(partial, 0, (size_t)columns * sizeof *partial);
        for (; row + 8 <= end; row += 8) {
            const float *a = matrix + row * columns, *f = x + row;
            EACH_EIGHT(columns, {
                float8 terms[8];
                UNROLL for (int r = 0; r < 8; r++) terms[r] = f[r] * load(a + r * columns + i, n);
                const float8 first = (terms[0] + terms[1]) + (terms[2] + terms[3]);
                const float8 second = (terms[4] + terms[5]) + (terms[6] + terms[7]);
                store(partial + i, load(partial + i, n) + (first + second), n);
            });
        }
        for (; row < end; row++) {
            EACH_EIGHT(columns, {
                store(partial + i, load(partial + i, n) + x[row] * load(matrix + row * columns + i, n), n);
            });
        }
        for (ptrdiff_t column = 0; column < columns; column++) products[column] += (double)partial[column];
    }
}

static void pullBackRow(const float *gradient, const float *column, float factor, float divisor, float *target,
                        ptrdiff_t count) {
    EACH_EIGHT(count, {
        store(target + i, (load(gradient + i, n) - factor * load(column + i, n)) / divisor, n);
    });
}
