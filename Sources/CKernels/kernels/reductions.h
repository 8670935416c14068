// Sums over rows and over all values, and passes that add to every row: see Reductions.swift. Matrices are stored by
// rows. The order of every sum is written here, so it depends on the shape alone.

/// Rows summed in float before they join the total: keeps the error of a long sum near that of a short one.
enum { rowsPerPartialSum = 128 };

/// sums[c] += Σ_r term(i), `term` an expression of the place i of row r and column c, and of the number n of values.
/// Four vectors at a time: one alone would wait for each addition.
#define ADD_COLUMN_SUMS(rows, columns, sums, term)                                                          \
    for (ptrdiff_t first_ = 0; first_ < (rows); first_ += rowsPerPartialSum) {                              \
        const ptrdiff_t end_ = least(first_ + rowsPerPartialSum, (rows));                                   \
        ptrdiff_t column_ = 0;                                                                              \
        for (; column_ + 32 <= (columns); column_ += 32) {                                                  \
            enum { n = 8 };                                                                                 \
            float8 sum_[4] = {0, 0, 0, 0};                                                                  \
            ptrdiff_t place_ = first_ * (columns) + column_;                                                \
            for (ptrdiff_t r_ = first_; r_ < end_; r_++, place_ += (columns)) {                             \
                UNROLL for (int k_ = 0; k_ < 4; k_++) {                                                     \
                    const ptrdiff_t i = place_ + 8 * k_, c = column_ + 8 * k_;                              \
                    (void)c;                                                                                \
                    sum_[k_] += (term);                                                                     \
                }                                                                                           \
            }                                                                                               \
            UNROLL for (int k_ = 0; k_ < 4; k_++) {                                                         \
                float *target_ = (sums) + column_ + 8 * k_;                                                 \
                store(target_, load(target_, 8) + sum_[k_], 8);                                             \
            }                                                                                               \
        }                                                                                                   \
        for (; column_ + 8 <= (columns); column_ += 8) {                                                    \
            enum { n = 8 };                                                                                 \
            float8 sum_ = 0;                                                                                \
            ptrdiff_t i = first_ * (columns) + column_;                                                     \
            const ptrdiff_t c = column_;                                                                    \
            (void)c;                                                                                        \
            for (ptrdiff_t r_ = first_; r_ < end_; r_++, i += (columns)) sum_ += (term);                    \
            store((sums) + column_, load((sums) + column_, 8) + sum_, 8);                                   \
        }                                                                                                   \
        if (column_ < (columns)) {                                                                          \
            const ptrdiff_t c = column_, n = (columns) - column_;                                           \
            (void)c;                                                                                        \
            float8 sum_ = 0;                                                                                \
            ptrdiff_t i = first_ * (columns) + column_;                                                     \
            for (ptrdiff_t r_ = first_; r_ < end_; r_++, i += (columns)) sum_ += (term);                    \
            store((sums) + column_, load((sums) + column_, n) + sum_, n);                                   \
        }                                                                                                   \
    }

/// The same for two sums of terms that have much in common: the statements set float8 `a` and `b`.
#define ADD_TWO_COLUMN_SUMS(rows, columns, first, second, ...)                                              \
    for (ptrdiff_t first_ = 0; first_ < (rows); first_ += rowsPerPartialSum) {                              \
        const ptrdiff_t end_ = least(first_ + rowsPerPartialSum, (rows));                                   \
        ptrdiff_t c = 0;                                                                                    \
        for (; c + 8 <= (columns); c += 8) {                                                                \
            enum { n = 8 };                                                                                 \
            TWO_COLUMN_SUMS(columns, first, second, __VA_ARGS__)                                            \
        }                                                                                                   \
        if (c < (columns)) {                                                                                \
            const ptrdiff_t n = (columns) - c;                                                              \
            TWO_COLUMN_SUMS(columns, first, second, __VA_ARGS__)                                            \
        }                                                                                                   \
    }
#define TWO_COLUMN_SUMS(columns, first, second, ...)                                                        \
    float8 sumA_ = 0, sumB_ = 0;                                                                            \
    ptrdiff_t i = first_ * (columns) + c;                                                                   \
    for (ptrdiff_t r_ = first_; r_ < end_; r_++, i += (columns)) {                                          \
        float8 a, b;                                                                                        \
        __VA_ARGS__                                                                                         \
        sumA_ += a;                                                                                         \
        sumB_ += b;                                                                                         \
    }                                                                                                       \
    store((first) + c, load((first) + c, n) + sumA_, n);                                                    \
    store((second) + c, load((second) + c, n) + sumB_, n);

static void addColumnSums(const float *matrix, ptrdiff_t rows, ptrdiff_t columns, float *sums) {
    ADD_COLUMN_SUMS(rows, columns, sums, load(matrix + i, n))
}

static void addWeightedColumnSums(const float *matrix, float weight, ptrdiff_t rows, ptrdiff_t columns, float *sums) {
    ADD_COLUMN_SUMS(rows, columns, sums, load(matrix + i, n) * weight)
}

static void addColumnSumsOfProducts(const float *x, const float *y, ptrdiff_t rows, ptrdiff_t columns, float *sums) {
    ADD_COLUMN_SUMS(rows, columns, sums, load(x + i, n) * load(y + i, n))
}

static void addColumnSumsOfSquares(const float *x, const float *mean, ptrdiff_t rows, ptrdiff_t columns, float *sums) {
    ADD_COLUMN_SUMS(rows, columns, sums, ({
        const float8 deviation = load(x + i, n) - load(mean + c, n);
        deviation * deviation;
    }))
}

static void addRowToRows(const float *row, float *matrix, ptrdiff_t rows, ptrdiff_t columns) {
    EACH_EIGHT_OF_ROWS(rows, columns, { store(matrix + i, load(matrix + i, n) + load(row + c, n), n); })
}

static void scaleRows(const float *x, const float *scale, const float *shift, float *y, ptrdiff_t rows,
                      ptrdiff_t columns) {
    if (shift) {
        EACH_EIGHT_OF_ROWS(rows, columns, {
            store(y + i, load(x + i, n) * load(scale + c, n) + load(shift + c, n), n);
        })
    } else {
        EACH_EIGHT_OF_ROWS(rows, columns, { store(y + i, load(x + i, n) * load(scale + c, n), n); })
    }
}

static void addScaledRows(const float *x, const float *scale, float *sums, ptrdiff_t rows, ptrdiff_t columns) {
    EACH_EIGHT_OF_ROWS(rows, columns, { store(sums + i, load(sums + i, n) + load(x + i, n) * load(scale + c, n), n); })
}

static void addTo(const float *source, float *target, ptrdiff_t count) {
    EACH_EIGHT(count, { store(target + i, load(target + i, n) + load(source + i, n), n); });
}

static void addScaled(const float *source, float factor, float *target, ptrdiff_t count) {
    EACH_EIGHT(count, { store(target + i, load(target + i, n) + load(source + i, n) * factor, n); });
}

static void scale(const float *x, float factor, float *y, ptrdiff_t count) {
    EACH_EIGHT(count, { store(y + i, load(x + i, n) * factor, n); });
}

static void divide(const float *x, float divisor, float *y, ptrdiff_t count) {
    EACH_EIGHT(count, { store(y + i, load(x + i, n) / divisor, n); });
}

INLINE double sumOfProducts(const float *x, const float *y, ptrdiff_t count) {
    RunningSum sum = {0};
    EACH_EIGHT(count, { add(&sum, load(x + i, n) * load(y + i, n)); });
    return total(sum);
}

static double product(const float *x, const float *y, ptrdiff_t count) { return sumOfProducts(x, y, count); }

static double squaredNorm(const float *x, ptrdiff_t count) { return sumOfProducts(x, x, count); }

// MARK: Distances

/// norm + norms[j] − 2 x[j], at least 0, in place of x.
static void squaredDistances(float norm, const float *norms, float *x, ptrdiff_t count) {
    EACH_EIGHT(count, {
        const float8 distance = norm + load(norms + i, n) - 2.0f * load(x + i, n);
        store(x + i, distance < 0.0f ? (float8)0.0f : distance, n);
    });
}

static double squaredDistance(const float *x, const float *y, ptrdiff_t count) {
    double8 sum = 0;
    EACH_EIGHT(count, {
        const double8 difference =
            __builtin_convertvector(load(x + i, n), double8) - __builtin_convertvector(load(y + i, n), double8);
        sum += difference * difference;
    });
    double result = sum[0];
    for (int lane = 1; lane < 8; lane++) result += sum[lane];
    return result;
}

static float leastValue(const float *x, ptrdiff_t count) {
    float8 lanes = __builtin_inff();
    const ptrdiff_t whole = count & ~(ptrdiff_t)7;
    for (ptrdiff_t i = 0; i < whole; i += 8) {
        const float8 next = load(x + i, 8);
        lanes = next < lanes ? next : lanes;
    }
    float result = __builtin_inff();
    for (int lane = 0; lane < 8; lane++) result = lanes[lane] < result ? lanes[lane] : result;
    for (ptrdiff_t i = whole; i < count; i++) result = x[i] < result ? x[i] : result;
    return result;
}

/// Float over 512 values, then in double.
static double sumOfExponentials(const float *x, float start, float factor, ptrdiff_t count) {
    double sum = 0;
    const ptrdiff_t whole = count & ~(ptrdiff_t)7;
    for (ptrdiff_t i = 0; i < whole;) {
        float8 lanes = 0;
        for (const ptrdiff_t end = least(i + 512, whole); i < end; i += 8) {
            lanes += exp8((start - load(x + i, 8)) * factor);
        }
        for (int lane = 0; lane < 8; lane++) sum += (double)lanes[lane];
    }
    for (ptrdiff_t i = whole; i < count; i++) sum += (double)exp8((float8)((start - x[i]) * factor))[0];
    return sum;
}

// MARK: The exchange between ranks: see VectorSum.swift and BFloat16.swift

static void sum(const float *x, const float *y, float *target, ptrdiff_t count) {
    const ptrdiff_t whole = count & ~(ptrdiff_t)15;
    for (ptrdiff_t i = 0; i < whole; i += 16) store16(target + i, load16(x + i) + load16(y + i));
    for (ptrdiff_t i = whole; i < count; i++) target[i] = x[i] + y[i];
}

static void packHalves(const float *values, uint16_t *halves, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += 16) {
        const word16 bits = *(const unalignedWord16 *)(values + i);
        const word16 even = 0x7fff + ((bits >> 16) & 1), near = (bits + even) >> 16, quiet = (bits >> 16) | 0x40;
        const word16 rounded = (bits & 0x7fffffff) > 0x7f800000 ? quiet : near;
        *(unalignedHalf16 *)(halves + i) = __builtin_convertvector(rounded, half16);
    }
}

static void unpackHalves(const uint16_t *halves, float *values, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += 16) {
        *(unalignedWord16 *)(values + i) =
            __builtin_convertvector(*(const unalignedHalf16 *)(halves + i), word16) << 16;
    }
}

static uint32_t sumOfBits(const float *values, ptrdiff_t count) {
    word16 sums[4] = {0, 0, 0, 0};
    ptrdiff_t i = 0;
    for (; i + 64 <= count; i += 64) {
        UNROLL for (int k = 0; k < 4; k++) sums[k] += *(const unalignedWord16 *)(values + i + 16 * k);
    }
    const word16 all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    uint32_t sum = 0;
    for (int lane = 0; lane < 16; lane++) sum += all[lane];
    for (; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        sum += bits;
    }
    return sum;
}

static void hash(uint32_t lanes[16], const float *values, ptrdiff_t count) {
    word16 state = *(unalignedWord16 *)lanes;
    for (ptrdiff_t i = 0; i < count; i += 16) {
        const word16 next = state + *(const unalignedWord16 *)(values + i) * 0x85ebca77u;
        state = ((next << 13) | (next >> 19)) * 0x9e3779b1u;
    }
    *(unalignedWord16 *)lanes = state;
}
