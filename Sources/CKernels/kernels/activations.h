// Pointwise functions of a layer's values, and what their gradients multiply by: see Activations.swift.

FUNCTION(sigmoid, sigmoid8(x))
FUNCTION(hyperbolicTangent, tanh8(x))
FUNCTION(softplus, softplus8(x))
FUNCTION(silu, x *sigmoid8(x))

INLINE float8 gelu8(float8 x) {
    float8 density;
    return x * normal8(x, &density);
}
FUNCTION(gelu, gelu8(x))

static void leakyRelu(const float *in, float slope, float *y, ptrdiff_t count) {
    EACH_EIGHT(count, {
        const float8 x = load(in + i, n);
        store(y + i, x < 0.0f ? x * slope : x, n);
    });
}

static void leakyReluGradient(const float *gradient, const float *output, float slope, float *dx, ptrdiff_t count) {
    EACH_EIGHT(count, {
        const float8 dy = load(gradient + i, n), y = load(output + i, n);
        store(dx + i, y > 0.0f ? dy : dy * slope, n);
    });
}

static void applyMask(const float *in, const float *mask, float factor, float *y, ptrdiff_t count) {
    EACH_EIGHT(count, { store(y + i, load(in + i, n) * (load(mask + i, n) * factor), n); });
}

// MARK: Gradients, of dy and the layer's output y or input x

#define GRADIENT(name, value)                                                                       \
    static void name(const float *gradient, const float *values, float *dx, ptrdiff_t count) {      \
        EACH_EIGHT(count, {                                                                         \
            const float8 dy = load(gradient + i, n), v = load(values + i, n);                       \
            store(dx + i, (value), n);                                                              \
        });                                                                                         \
    }

INLINE float8 geluSlope(float8 x) {
    float8 density;
    const float8 cumulative = normal8(x, &density);
    return cumulative + x * density;
}
INLINE float8 siluSlope(float8 x) {
    const float8 s = sigmoid8(x);
    return s * (1.0f + x * (1.0f - s));
}

GRADIENT(sigmoidGradient, dy *(v * (1.0f - v)))
GRADIENT(hyperbolicTangentGradient, dy *(1.0f - v * v))
GRADIENT(softplusGradient, dy *sigmoid8(v))
GRADIENT(geluGradient, dy *geluSlope(v))
GRADIENT(siluGradient, dy *siluSlope(v))

// MARK: Curvatures: sum (+)= gradient · tangent · function(v)

#define CURVATURE(name, value)                                                                      \
    static void name(const float *gradient, const float *tangent, const float *values, float *sum, bool adding, \
                     ptrdiff_t count) {                                                             \
        EACH_EIGHT(count, {                                                                         \
            const float8 v = load(values + i, n);                                                   \
            const float8 bent = load(gradient + i, n) * load(tangent + i, n) * (value);             \
            store(sum + i, adding ? load(sum + i, n) + bent : bent, n);                             \
        });                                                                                         \
    }

INLINE float8 softplusBend(float8 x) {
    const float8 e = exp8(-magnitude(x));
    return e / ((1.0f + e) * (1.0f + e));
}
INLINE float8 geluBend(float8 x) {
    float8 density;
    normal8(x, &density);
    return density * (2.0f - x * x);
}
INLINE float8 siluBend(float8 x) {
    const float8 s = sigmoid8(x);
    return s * (1.0f - s) * (2.0f + x * (1.0f - 2.0f * s));
}

CURVATURE(sigmoidCurvature, v *(1.0f - v) * (1.0f - 2.0f * v))
CURVATURE(hyperbolicTangentCurvature, -2.0f * v * (1.0f - v * v))
CURVATURE(softplusCurvature, softplusBend(v))
CURVATURE(geluCurvature, geluBend(v))
CURVATURE(siluCurvature, siluBend(v))
