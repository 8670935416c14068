// Vectors of 8 and 16 values, and what every kernel makes of them. The including file says with which instructions:
// see plain.c.

// Products are fused with sums only where that is written: elsewhere the bits are the same with every set.
#pragma STDC FP_CONTRACT OFF

typedef float float8 __attribute__((ext_vector_type(8)));
typedef float float16 __attribute__((ext_vector_type(16)));
typedef double double8 __attribute__((ext_vector_type(8)));
typedef int32_t int8 __attribute__((ext_vector_type(8)));
typedef uint32_t word8 __attribute__((ext_vector_type(8)));
typedef uint32_t word16 __attribute__((ext_vector_type(16)));
typedef uint64_t wide4 __attribute__((ext_vector_type(4)));
typedef uint16_t half16 __attribute__((ext_vector_type(16)));
typedef float8 unalignedFloat8 __attribute__((aligned(4)));
typedef float16 unalignedFloat16 __attribute__((aligned(4)));
typedef word16 unalignedWord16 __attribute__((aligned(4)));
typedef half16 unalignedHalf16 __attribute__((aligned(2)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("unroll")

INLINE ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
INLINE ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

// MARK: Reading and writing

// Fewer than eight values: the other lanes are zero. Not inlined: reaching lanes by number would keep the vectors of a
// whole loop in memory.

static __attribute__((noinline)) float8 loadRest(const float *x, ptrdiff_t count) {
    float8 vector = 0;
    for (ptrdiff_t lane = 0; lane < count; lane++) vector[lane] = x[lane];
    return vector;
}

static __attribute__((noinline)) void storeRest(float *x, float8 vector, ptrdiff_t count) {
    for (ptrdiff_t lane = 0; lane < count; lane++) x[lane] = vector[lane];
}

/// The first lanes; the others are zero.
static __attribute__((noinline)) float8 firstLanes(float8 vector, ptrdiff_t count) {
    float8 result = 0;
    for (ptrdiff_t lane = 0; lane < count; lane++) result[lane] = vector[lane];
    return result;
}

// With `count` the constant 8 each is one vector instruction.

INLINE float8 load(const float *x, ptrdiff_t count) {
    return count == 8 ? *(const unalignedFloat8 *)x : loadRest(x, count);
}
INLINE void store(float *x, float8 vector, ptrdiff_t count) {
    if (count == 8) *(unalignedFloat8 *)x = vector;
    else storeRest(x, vector, count);
}
INLINE float8 keep(float8 vector, ptrdiff_t count) { return count == 8 ? vector : firstLanes(vector, count); }

INLINE float16 load16(const float *x) { return *(const unalignedFloat16 *)x; }
INLINE void store16(float *x, float16 vector) { *(unalignedFloat16 *)x = vector; }

/// Runs the statements for each eight of `count` values, with their index `i` and number `n`; the last may be fewer.
#define EACH_EIGHT(count, ...)                                              \
    do {                                                                    \
        const ptrdiff_t whole_ = (count) & ~(ptrdiff_t)7;                   \
        for (ptrdiff_t i = 0; i < whole_; i += 8) {                         \
            enum { n = 8 };                                                 \
            __VA_ARGS__                                                     \
        }                                                                   \
        if (whole_ < (count)) {                                             \
            const ptrdiff_t i = whole_, n = (count) - whole_;               \
            __VA_ARGS__                                                     \
        }                                                                   \
    } while (0)

/// The same for each eight columns `c` of a matrix stored by rows, with their index `i` in the matrix.
#define EACH_EIGHT_OF_ROWS(rows, columns, ...)                              \
    for (ptrdiff_t row_ = 0; row_ < (rows); row_++) {                       \
        const ptrdiff_t wholeColumns_ = (columns) & ~(ptrdiff_t)7;          \
        const ptrdiff_t start_ = row_ * (columns);                          \
        for (ptrdiff_t c = 0; c < wholeColumns_; c += 8) {                  \
            enum { n = 8 };                                                 \
            const ptrdiff_t i = start_ + c;                                 \
            __VA_ARGS__                                                     \
        }                                                                   \
        if (wholeColumns_ < (columns)) {                                    \
            const ptrdiff_t c = wholeColumns_, n = (columns) - c, i = start_ + c; \
            __VA_ARGS__                                                     \
        }                                                                   \
    }

/// Transposes 16 × 16 values whose rows lie `step` apart; the result's lie one after another.
///
/// The place of a value has eight bits, four of the row and four of the column. Sorting two rows by the parity of the
/// column rotates them by one; four times exchanges row and column.
static inline void transpose16(const float *source, ptrdiff_t step, float *result) {
    float16 rows[16], sorted[16];
    UNROLL for (int r = 0; r < 16; r++) rows[r] = load16(source + r * step);
    UNROLL for (int times = 0; times < 4; times++) {
        UNROLL for (int r = 0; r < 8; r++) {
            const float16 a = rows[2 * r], b = rows[2 * r + 1];
            sorted[r] = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            sorted[r + 8] = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        }
        UNROLL for (int r = 0; r < 16; r++) rows[r] = sorted[r];
    }
    UNROLL for (int r = 0; r < 16; r++) store16(result + 16 * r, rows[r]);
}

// MARK: Fetching

/// Asks for the cache line at an address, whether there is memory or not.
INLINE void prefetch(const float *address) { __builtin_prefetch(address); }

/// The same, into the second-level cache.
INLINE void prefetchFar(const float *address) { __builtin_prefetch(address, 0, 2); }

/// The same for a line that is to be written: writes that miss the cache are served one after another, unless asked
/// for early.
INLINE void prefetchForWriting(float *address) { __builtin_prefetch(address, 1); }

// MARK: Sums

/// A running sum of vectors: eight float lanes for 64 vectors, then into a double. A double per value would halve the
/// lanes; a float for all of them would lose the digits of the small values.
typedef struct {
    float8 lanes;
    int vectors;
    double sum;
} RunningSum;

INLINE void flush(RunningSum *sum) {
    UNROLL for (int lane = 0; lane < 8; lane++) sum->sum += (double)sum->lanes[lane];
    sum->lanes = 0;
    sum->vectors = 0;
}

INLINE void add(RunningSum *sum, float8 vector) {
    sum->lanes += vector;
    if (++sum->vectors == 64) flush(sum);
}

INLINE double total(RunningSum sum) {
    flush(&sum);
    return sum.sum;
}
