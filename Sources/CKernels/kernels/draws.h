// Random numbers: see Philox.swift and Draws.swift.

/// The words of eight counters that differ in their first: `first`, `first` + 1, … `first` + 7. Word w of counter
/// `first` + i is lane i of the w-th vector.
///
/// The even counters and the odd ones are kept apart, each word in the low half of a 64-bit lane, as the widening
/// multiplication wants them; what is in the high half does not matter to it.
INLINE void philoxOfEight(PhiloxKey key, uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, word8 words[4]) {
    const wide4 low = 0xffffffff, m0 = PHILOX_MULTIPLIER_0, m1 = PHILOX_MULTIPLIER_1;
    const word8 indices = (word8){0, 1, 2, 3, 4, 5, 6, 7} + first;
    wide4 even0 = (wide4)indices, odd0 = even0 >> 32;
    wide4 even1 = c1, odd1 = c1, even2 = c2, odd2 = c2, even3 = c3, odd3 = c3;
    uint32_t k0 = key.low, k1 = key.high;
    for (int round = 0; round < 10; round++) {
        const wide4 evenProduct0 = (even0 & low) * m0, oddProduct0 = (odd0 & low) * m0;
        const wide4 evenProduct1 = (even2 & low) * m1, oddProduct1 = (odd2 & low) * m1;
        even0 = (evenProduct1 >> 32) ^ even1 ^ (wide4)(uint64_t)k0;
        odd0 = (oddProduct1 >> 32) ^ odd1 ^ (wide4)(uint64_t)k0;
        even2 = (evenProduct0 >> 32) ^ even3 ^ (wide4)(uint64_t)k1;
        odd2 = (oddProduct0 >> 32) ^ odd3 ^ (wide4)(uint64_t)k1;
        even1 = evenProduct1, odd1 = oddProduct1, even3 = evenProduct0, odd3 = oddProduct0;
        k0 += PHILOX_INCREMENT_0;
        k1 += PHILOX_INCREMENT_1;
    }
    words[0] = (word8)((even0 & low) | (odd0 << 32));
    words[1] = (word8)((even1 & low) | (odd1 << 32));
    words[2] = (word8)((even2 & low) | (odd2 << 32));
    words[3] = (word8)((even3 & low) | (odd3 << 32));
}

static void philox(PhiloxKey key, uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t words[32]) {
    word8 blocks[4];
    philoxOfEight(key, first, c1, c2, c3, blocks);
    memcpy(words, blocks, sizeof blocks);
}

/// The upper 24 bits as a multiple of 2⁻²⁴ in 0 ..< 1.
INLINE float8 unitInterval(word8 words) { return __builtin_convertvector((int8)(words >> 8), float8) * 0x1p-24f; }

/// Two independent normal vectors: √(−2 ln u) (cos 2πv, sin 2πv).
INLINE void normalPair(word8 first, word8 second, float8 pair[2]) {
    // All 32 bits, halfway between the grid's points: never zero, and tails as far as 6.7.
    const float8 high = smallInteger((int8)(first >> 16)), low = smallInteger((int8)(first & 0xffff));
    const float8 u = (high * 65536.0f + (low + 0.5f)) * 0x1p-32f;
    const float8 radius = __builtin_elementwise_sqrt(-2.0f * log8(u));
    float8 cosine;
    const float8 sine = sinCosOfTurns8(unitInterval(second), &cosine);
    pair[0] = radius * cosine;
    pair[1] = radius * sine;
}

/// Fills rows of `perSample` values, each 32 from the float8 `drawn[4]` that the statements make of the word8 `w[4]`.
#define EACH_DRAW(values, key, counter, samples, perSample, ...)                                        \
    for (ptrdiff_t sample_ = 0; sample_ < (samples); sample_++) {                                       \
        float *row_ = (values) + sample_ * (perSample);                                                 \
        for (ptrdiff_t index_ = 0; index_ < (perSample); index_ += 32) {                                \
            word8 w[4];                                                                                 \
            float8 drawn[4];                                                                            \
            philoxOfEight(key, (uint32_t)(index_ / 4), (counter).sample + (uint32_t)sample_, (counter).step, \
                          (counter).use, w);                                                            \
            __VA_ARGS__                                                                                 \
            if (index_ + 32 <= (perSample)) {                                                           \
                UNROLL for (int k_ = 0; k_ < 4; k_++) store(row_ + index_ + 8 * k_, drawn[k_], 8);      \
            } else {                                                                                    \
                memcpy(row_ + index_, drawn, (size_t)((perSample) - index_) * sizeof(float));           \
            }                                                                                           \
        }                                                                                               \
    }

static void drawUniform(float *values, PhiloxKey key, DrawCounter counter, ptrdiff_t samples, ptrdiff_t perSample,
                        float low, float width) {
    EACH_DRAW(values, key, counter, samples, perSample, {
        UNROLL for (int k = 0; k < 4; k++) drawn[k] = low + width * unitInterval(w[k]);
    })
}

static void drawNormal(float *values, PhiloxKey key, DrawCounter counter, ptrdiff_t samples, ptrdiff_t perSample,
                       float deviation) {
    EACH_DRAW(values, key, counter, samples, perSample, {
        normalPair(w[0], w[1], drawn);
        normalPair(w[2], w[3], drawn + 2);
        UNROLL for (int k = 0; k < 4; k++) drawn[k] = deviation * drawn[k];
    })
}

static void drawMask(float *values, PhiloxKey key, DrawCounter counter, ptrdiff_t samples, ptrdiff_t perSample,
                     float kept) {
    EACH_DRAW(values, key, counter, samples, perSample, {
        UNROLL for (int k = 0; k < 4; k++) drawn[k] = unitInterval(w[k]) < kept ? (float8)1.0f : (float8)0.0f;
    })
}
