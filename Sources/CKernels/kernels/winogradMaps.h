// The maps of winograd.h, in one direction.
//
// F(4, 2) and F(4, 3): four neighbouring outputs of a filter of two taps by five multiplications instead of eight, and
// of three taps by six instead of twelve. Winograd 1980, "Arithmetic complexity of computations", §IV; Lavin & Gray
// 2016, eq. 6 and 8. yᵢ = Σₖ dᵢ₊ₖ gₖ (i < 4) is y = Aᵀ ((G g) ⊙ (Bᵀ d)); for two taps with the points 0, 1, −1, 2, ∞:
//
//          ⎡ 2 −1 −2  1  0 ⎤        ⎡  ½   0 ⎤          ⎡ 1  1  1  1  0 ⎤
//          ⎢ 0 −2 −1  1  0 ⎥        ⎢ −½  −½ ⎥          ⎢ 0  1 −1  2  0 ⎥
//     Bᵀ = ⎢ 0  2 −3  1  0 ⎥    G = ⎢ −⅙   ⅙ ⎥     Aᵀ = ⎢ 0  1  1  4  0 ⎥
//          ⎢ 0 −1  0  1  0 ⎥        ⎢  ⅙   ⅓ ⎥          ⎣ 0  1 −1  8  1 ⎦
//          ⎣ 0  2 −1 −2  1 ⎦        ⎣  0   1 ⎦
//
// for three with 0, 1, −1, 2, −½ and ∞, whose errors are smaller than those of 0, ±1, ±2 and ∞:
//
//          ⎡ 1  3/2  −2  −3/2  1    0 ⎤        ⎡   1      0      0   ⎤
//          ⎢ 0  −1  −5/2 −1/2  1    0 ⎥        ⎢  −⅓     −⅓     −⅓   ⎥         ⎡ 1  1  1  1   1  0 ⎤
//     Bᵀ = ⎢ 0   1   1/2 −5/2  1    0 ⎥    G = ⎢   ⅓     −⅓      ⅓   ⎥    Aᵀ = ⎢ 0  1 −1  2 −1/2 0 ⎥
//          ⎢ 0 −1/2  −1   1/2  1    0 ⎥        ⎢  1/15   2/15   4/15 ⎥         ⎢ 0  1  1  4  1/4 0 ⎥
//          ⎢ 0   2   −1   −2   1    0 ⎥        ⎢ −16/15  8/15  −4/15 ⎥         ⎣ 0  1 −1  8 −1/8 1 ⎦
//          ⎣ 0   1   3/2  −2 −3/2   1 ⎦        ⎣   0      0      1   ⎦
//
// Being bilinear they also give both gradients, by the transposed matrices. Each function here is one of the six maps,
// on columns of vectors. `taps` is a constant wherever they are used, so that each becomes one of the two forms.

enum { mostTaps = 3, mostPoints = mostTaps + 3 };

/// Bᵀ, of the input.
INLINE void inputMap(int taps, const float16 *d, float16 *t) {
    if (taps == 2) {
        const float16 d31 = d[3] - d[1];
        t[0] = d31 + 2.0f * (d[0] - d[2]);
        t[1] = d[3] - d[2] - 2.0f * d[1];
        t[2] = d[3] - 3.0f * d[2] + 2.0f * d[1];
        t[3] = d31;
        t[4] = d[4] - d[2] - 2.0f * d31;
    } else {
        const float16 d13 = d[1] - d[3], d42 = d[4] - d[2];
        t[0] = multiplyAdd16(1.5f, d13, multiplyAdd16(-2.0f, d[2], d[0] + d[4]));
        t[1] = multiplyAdd16(-2.5f, d[2], multiplyAdd16(-0.5f, d[3], d[4] - d[1]));
        t[2] = multiplyAdd16(-2.5f, d[3], multiplyAdd16(0.5f, d[2], d[4] + d[1]));
        t[3] = multiplyAdd16(-0.5f, d13, d42);
        t[4] = multiplyAdd16(2.0f, d13, d42);
        t[5] = multiplyAdd16(-1.5f, d42, multiplyAdd16(-2.0f, d[3], d[1] + d[5]));
    }
}

/// B, of the input's gradient.
INLINE void inputAdjoint(int taps, const float16 *t, float16 *d) {
    if (taps == 2) {
        d[0] = 2.0f * t[0];
        d[1] = 2.0f * (t[2] - t[1] + t[4]) - t[0] - t[3];
        d[2] = -2.0f * t[0] - t[1] - 3.0f * t[2] - t[4];
        d[3] = t[0] + t[1] + t[2] + t[3] - 2.0f * t[4];
        d[4] = t[4];
    } else {
        const float16 t34 = multiplyAdd16(-0.5f, t[3], 2.0f * t[4]);
        d[0] = t[0];
        d[1] = multiplyAdd16(1.5f, t[0], t[2] - t[1] + t[5]) + t34;
        d[2] = multiplyAdd16(-2.0f, t[0], multiplyAdd16(-2.5f, t[1], multiplyAdd16(0.5f, t[2],
            multiplyAdd16(1.5f, t[5], -(t[3] + t[4])))));
        d[3] = multiplyAdd16(-1.5f, t[0], multiplyAdd16(-0.5f, t[1], multiplyAdd16(-2.5f, t[2], -2.0f * t[5]))) - t34;
        d[4] = multiplyAdd16(-1.5f, t[5], t[0] + t[1] + t[2] + t[3] + t[4]);
        d[5] = t[5];
    }
}

static const float sixth = 1.0f / 6.0f, third = 1.0f / 3.0f, fifteenth = 1.0f / 15.0f;

/// G, of the weights.
INLINE void weightMap(int taps, const float16 *g, float16 *t) {
    if (taps == 2) {
        t[0] = 0.5f * g[0];
        t[1] = multiplyAdd16(-0.5f, g[1], -0.5f * g[0]);
        t[2] = multiplyAdd16(sixth, g[1], -sixth * g[0]);
        t[3] = multiplyAdd16(third, g[1], sixth * g[0]);
        t[4] = g[1];
    } else {
        const float16 ends = g[0] + g[2];
        t[0] = g[0];
        t[1] = -third * (ends + g[1]);
        t[2] = third * (ends - g[1]);
        t[3] = fifteenth * multiplyAdd16(4.0f, g[2], multiplyAdd16(2.0f, g[1], g[0]));
        t[4] = (-16.0f * fifteenth) * multiplyAdd16(0.25f, g[2], multiplyAdd16(-0.5f, g[1], g[0]));
        t[5] = g[2];
    }
}

/// Gᵀ, of the weights' gradient.
INLINE void weightAdjoint(int taps, const float16 *t, float16 *g) {
    if (taps == 2) {
        g[0] = multiplyAdd16(sixth, t[3], multiplyAdd16(-sixth, t[2], multiplyAdd16(-0.5f, t[1], 0.5f * t[0])));
        g[1] = multiplyAdd16(third, t[3], multiplyAdd16(sixth, t[2], multiplyAdd16(-0.5f, t[1], t[4])));
    } else {
        const float16 even = third * (t[2] - t[1]), odd = -third * (t[1] + t[2]);
        const float16 t3 = fifteenth * t[3], t4 = (-16.0f * fifteenth) * t[4];
        g[0] = t[0] + even + (t3 + t4);
        g[1] = multiplyAdd16(2.0f, t3, multiplyAdd16(-0.5f, t4, odd));
        g[2] = multiplyAdd16(4.0f, t3, multiplyAdd16(0.25f, t4, even)) + t[5];
    }
}

/// Aᵀ, to the output.
INLINE void outputMap(int taps, const float16 *t, float16 *y) {
    const float16 sum = t[1] + t[2], difference = t[1] - t[2];
    if (taps == 2) {
        y[0] = t[0] + sum + t[3];
        y[1] = difference + 2.0f * t[3];
        y[2] = sum + 4.0f * t[3];
        y[3] = difference + 8.0f * t[3] + t[4];
    } else {
        y[0] = t[0] + sum + (t[3] + t[4]);
        y[1] = multiplyAdd16(2.0f, t[3], multiplyAdd16(-0.5f, t[4], difference));
        y[2] = multiplyAdd16(4.0f, t[3], multiplyAdd16(0.25f, t[4], sum));
        y[3] = multiplyAdd16(8.0f, t[3], multiplyAdd16(-0.125f, t[4], difference)) + t[5];
    }
}

/// A, of the output's gradient.
INLINE void outputAdjoint(int taps, const float16 *y, float16 *t) {
    const float16 even = y[0] + y[2], odd = y[1] + y[3];
    t[0] = y[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = y[0] + 2.0f * y[1] + 4.0f * y[2] + 8.0f * y[3];
    if (taps == 3) {
        t[4] = multiplyAdd16(-0.5f, y[1], multiplyAdd16(0.25f, y[2], multiplyAdd16(-0.125f, y[3], y[0])));
    }
    t[taps + 2] = y[3];
}
