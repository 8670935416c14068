// Elementary functions of eight floats at a time.
//
// Own polynomials and no fused multiply-add: the bits depend neither on the C library nor on the instruction set. The
// coefficients minimise the largest relative error over the reduced range (reweighted least squares at Chebyshev
// nodes, 40 digits, then rounded), which stays below 0.1 · 2⁻²⁴: what remains is the rounding of a few operations. NaN
// gives NaN everywhere.

INLINE float8 magnitude(float8 x) { return (float8)((word8)x & 0x7fffffff); }
INLINE float8 copySign(float8 sign, float8 magnitude) {
    return (float8)((word8)magnitude | ((word8)sign & 0x80000000));
}

/// The integer nearest to each |x| < 2²², ties to even: adding 1.5 · 2²³ leaves it in the low bits. (Rounding is a
/// library call for each lane where there is no SSE 4.1.)
INLINE float8 nearest(float8 x, int8 *integer) {
    const float8 shift = 12582912.0f, shifted = x + shift;
    *integer = (int8)((word8)shifted - (word8)shift);
    return shifted - shift;
}

/// The float of an integer in 0 ..< 2²³, by putting it in the low bits of 2²³. (The conversion often takes a lane at a
/// time.)
INLINE float8 smallInteger(int8 integer) { return (float8)(integer | 0x4b000000) - 8388608.0f; }

/// 2ⁿ for −126 ≤ n ≤ 127.
INLINE float8 powerOfTwo(int8 n) { return (float8)(((word8)n + 127) << 23); }

/// eˣ, with ∞ above 88.72 and gradual underflow to 0 below −103.97. Error at most 2 units in the last place.
INLINE float8 exp8(float8 argument) {
    // Outside these bounds the result is ∞ or 0 all the same, and the exponent below stays in range.
    float8 x = argument > 90.0f ? (float8)90.0f : argument;
    x = argument < -105.0f ? (float8)-105.0f : x;
    // x = n ln 2 + r; ln 2 in two parts, the first of nine bits so that n times it is exact.
    int8 integer;
    const float8 n = nearest(x * 1.44269504f, &integer);
    const float8 r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float8 p = r * 0.00138146081f + 0.00836871006f;
    p = p * r + 0.041668389f;
    p = p * r + 0.166665211f;
    p = p * r + 0.49999994f;
    p = p * (r * r) + r + 1.0f;
    // 2ⁿ as a product of two: n reaches 129 and −151, past what one exponent holds.
    const int8 half = integer >> 1;
    return p * powerOfTwo(half) * powerOfTwo(integer - half);
}

/// ln x; −∞ at 0, NaN below. Error at most 2 units in the last place.
INLINE float8 log8(float8 argument) {
    const int8 subnormal = argument < 0x1p-126f;
    const float8 x = subnormal ? argument * 8388608.0f : argument;
    // x = 2ⁿ (1 + f), with 1 + f in [√½, √2): adding 1 − √½ in the bits moves the upper part to the next exponent.
    const int8 bits = (int8)((word8)x + (0x3f800000u - 0x3f3504f3u));
    float8 n = smallInteger((bits >> 23) & 0x1ff) - 127.0f;
    n = subnormal ? n - 23.0f : n;
    const float8 f = (float8)((word8)(bits & 0x007fffff) + 0x3f3504f3u) - 1.0f;
    float8 p = f * 0.0674655214f - 0.116756283f;
    p = p * f + 0.118881904f;
    p = p * f - 0.124055944f;
    p = p * f + 0.142195493f;
    p = p * f - 0.166679949f;
    p = p * f + 0.200021192f;
    p = p * f - 0.250000089f;
    p = p * f + 0.333333135f;
    const float8 square = f * f;
    float8 result = f + (p * f * square + n * -2.12194440e-4f - square * 0.5f) + n * 0.693359375f;
    result = argument == __builtin_inff() ? argument : result;
    result = argument == 0.0f ? (float8)-__builtin_inff() : result;
    return ((argument < 0.0f) | (argument != argument)) ? (float8)__builtin_nanf("") : result;
}

/// ln(1 + x), exact to rounding for small x too; −∞ at −1, NaN below.
INLINE float8 log1p8(float8 x) {
    const float8 u = 1.0f + x;
    // What 1 + x lost by rounding, relative to u, is what the logarithm lost.
    const float8 correction = (x - (u - 1.0f)) / u;
    return log8(u) + (((u == 0.0f) | (x == __builtin_inff())) ? (float8)0.0f : correction);
}

/// ln(1 + eˣ): the cross-entropy of a logit. x for large x, eˣ for very negative ones.
INLINE float8 softplus8(float8 x) { return (x < 0.0f ? (float8)0.0f : x) + log1p8(exp8(-magnitude(x))); }

/// 1 / (1 + e⁻ˣ); the small values keep their relative precision.
INLINE float8 sigmoid8(float8 x) {
    const float8 e = exp8(-magnitude(x));
    return (x >= 0.0f ? (float8)1.0f : e) / (1.0f + e);
}

/// The normal distribution function Φ(x) and its density φ(x); small values of Φ keep their relative precision.
INLINE float8 normal8(float8 x, float8 *density) {
    // Φ(−a) = exp(−a²/2) · ½ erfcx(a/√2), of which the second factor is a polynomial in t, a < 14: beyond, the first
    // is 0.
    const float8 a = magnitude(x), t = 1.0f / (1.0f + 0.3f * a), e = exp8(-0.5f * a * a);
    float8 p = t * 0.0383784026f - 0.169166639f;
    p = p * t + 0.22866109f;
    p = p * t - 0.0765075535f;
    p = p * t + 0.142536208f;
    p = p * t + 0.0946832597f;
    p = p * t + 0.121920399f;
    p = p * t + 0.11948768f;
    p = p * t + 7.16925342e-6f;
    const float8 tail = e * p;
    *density = e * 0.39894228f;
    return x > 0.0f ? 1.0f - tail : tail;
}

INLINE float8 tanh8(float8 x) {
    const float8 z = x * x;
    float8 p = z * -0.00570496777f + 0.0206390675f;
    p = p * z - 0.0537397079f;
    p = p * z + 0.133314416f;
    p = p * z - 0.333332807f;
    const float8 small = p * z * x + x;
    const float8 large = 1.0f - 2.0f / (exp8(2.0f * magnitude(x)) + 1.0f);
    return magnitude(x) > 0.625f ? copySign(x, large) : small;
}

/// sin 2πu, and cos 2πu, for |u| < 2²²; exact at multiples of a quarter.
INLINE float8 sinCosOfTurns8(float8 u, float8 *cosine) {
    int8 integer;
    const float8 quarter = nearest(u * 4.0f, &integer);
    const float8 angle = (u - quarter * 0.25f) * 6.28318531f, z = angle * angle;
    float8 s = z * -0.000195146291f + 0.00833215564f;
    s = s * z - 0.166666552f;
    s = s * z * angle + angle;
    float8 c = z * 2.44324409e-05f - 0.00138873095f;
    c = c * z + 0.0416666456f;
    c = c * (z * z) - z * 0.5f + 1.0f;
    // An odd quarter swaps the two; the sine is negative in the quarters 2 and 3, the cosine in 1 and 2.
    const word8 turn = (word8)integer, sBits = (word8)s, cBits = (word8)c;
    const word8 swapped = (sBits ^ cBits) & (0 - (turn & 1));
    *cosine = (float8)(cBits ^ swapped ^ (((turn + 1) & 2) << 30));
    return (float8)(sBits ^ swapped ^ ((turn & 2) << 30));
}

#define FUNCTION(name, value)                                               \
    static void name(const float *in, float *y, ptrdiff_t count) {          \
        EACH_EIGHT(count, { const float8 x = load(in + i, n); store(y + i, (value), n); }); \
    }

FUNCTION(exponential, exp8(x))
FUNCTION(logarithm, log8(x))
FUNCTION(logarithmOfOnePlus, log1p8(x))

static void sinCosOfTurns(const float *u, float *sine, float *cosine, ptrdiff_t count) {
    EACH_EIGHT(count, {
        float8 c;
        store(sine + i, sinCosOfTurns8(load(u + i, n), &c), n);
        store(cosine + i, c, n);
    });
}
