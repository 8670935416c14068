#pragma once

// The loops that compute, compiled for each instruction set that a processor may have. What each computes is said by
// the Swift file that calls it; x, y, dx … are matrices stored by rows, and `count`, `rows` and `columns` count values.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// MARK: What the kernels are told

/// From `first` to before `end`.
typedef struct {
    ptrdiff_t first, end;
} Part;

/// See ConvolutionGeometry.
typedef struct {
    ptrdiff_t inputHeight, inputWidth, inputChannels, outputHeight, outputWidth, outputChannels;
    ptrdiff_t kernelHeight, kernelWidth, strideHeight, strideWidth, padTop, padLeft;
} ConvolutionShape;

/// The channels of one group of an image, within zeros.
typedef struct {
    ptrdiff_t height, width, channels;
    /// Where the image's first pixel lies, and the steps from one of its pixels to the next.
    ptrdiff_t top, left, stepHeight, stepWidth;
} Plane;

/// A convolution in Winograd's form: see WinogradConvolution.
typedef struct {
    ConvolutionShape shape;
    /// Of a phase, in each direction: 2 or 3, with 5 or 6 points.
    ptrdiff_t taps;
    ptrdiff_t tileRows, tileColumns;
    /// Of the matrices of a block of tiles.
    ptrdiff_t rows;
    /// Values from one point's matrix to the next's: of X, of Y and Z, of a few panels of results, of the weights'
    /// gradient and of weights.
    ptrdiff_t inputPoint, outputPoint, resultPoint, gradientPoint, chunkPoint;
} WinogradPlan;

/// Weights that are wanted next, in memory that is far: some rows of each tap of a phase.
///
/// They are fetched a few lines at a time between the products before, since a processor that is asked for many at once
/// waits for them.
typedef struct {
    /// Of the first row, in the kernel's first pixel.
    const float *first;
    ptrdiff_t phase, rows;
    /// Cache lines in each row, and of those how many at a time.
    ptrdiff_t lines, linesAtATime;
    /// Where the fetching has come to.
    ptrdiff_t tap, row, line;
} UpcomingWeights;

/// See PoolingGeometry.
typedef struct {
    ptrdiff_t height, width, channels, size, stride, outputHeight, outputWidth;
} PoolingShape;

/// See Resampling.Filter.
typedef enum {
    resamplingNearest,
    resamplingLinear,
    resamplingMean,
    resamplingBinomialDown,
    resamplingBinomialUp,
} ResamplingFilter;

typedef struct {
    ptrdiff_t height, width, channels, factor, outputHeight, outputWidth, taps;
    ResamplingFilter filter;
} ResamplingShape;

/// A value a channel each.
typedef struct {
    const float *mean, *inverse, *scale, *shift;
} BatchStatistics;

/// See OptimiserKernels.adam.
typedef struct {
    float keepFirst, takeFirst, keepSecond, takeSecond, rate, correction, epsilon;
} AdamUpdate;

/// Philox4x32: Salmon et al. 2011, §3.3.
#define PHILOX_MULTIPLIER_0 0xd2511f53u
#define PHILOX_MULTIPLIER_1 0xcd9e8d57u
#define PHILOX_INCREMENT_0 0x9e3779b9u
#define PHILOX_INCREMENT_1 0xbb67ae85u
typedef struct {
    uint32_t low, high;
} PhiloxKey;

/// The words of a counter beside the block: the first sample, the step, and what is drawn.
typedef struct {
    uint32_t sample, step, use;
} DrawCounter;

/// Terms that a dense product sums at a time, of sixteen columns: a block of weights is so many cache lines, and fills
/// an eighth of the smallest cache.
enum { logLinesOfTerms = 2, termsAtATime = 16 << logLinesOfTerms };

// MARK: The kernels of an instruction set

typedef void (*PointwiseFunction)(const float *x, float *y, ptrdiff_t count);
typedef void (*PointwiseGradient)(const float *dy, const float *values, float *dx, ptrdiff_t count);
typedef void (*PointwiseCurvature)(const float *gradient, const float *tangent, const float *values, float *sum,
                                   bool adding, ptrdiff_t count);

typedef struct {
    /// Whether a sum of products is one instruction a term: without, BLAS is faster.
    bool hasFusedProducts;
    /// Rows of a product that are summed at a time, and panels, where it has as many.
    ptrdiff_t rowsAtATime, panelsInRegisters;

    // functions.h, activations.h
    PointwiseFunction exponential, logarithm, logarithmOfOnePlus;
    void (*sinCosOfTurns)(const float *u, float *sine, float *cosine, ptrdiff_t count);
    PointwiseFunction sigmoid, hyperbolicTangent, softplus, silu, gelu;
    void (*leakyRelu)(const float *x, float slope, float *y, ptrdiff_t count);
    void (*leakyReluGradient)(const float *dy, const float *y, float slope, float *dx, ptrdiff_t count);
    void (*applyMask)(const float *x, const float *mask, float factor, float *y, ptrdiff_t count);
    PointwiseGradient sigmoidGradient, hyperbolicTangentGradient, softplusGradient, geluGradient, siluGradient;
    PointwiseCurvature sigmoidCurvature, hyperbolicTangentCurvature, softplusCurvature, geluCurvature, siluCurvature;

    // reductions.h
    void (*addColumnSums)(const float *matrix, ptrdiff_t rows, ptrdiff_t columns, float *sums);
    void (*addWeightedColumnSums)(const float *matrix, float weight, ptrdiff_t rows, ptrdiff_t columns, float *sums);
    void (*addColumnSumsOfProducts)(const float *x, const float *y, ptrdiff_t rows, ptrdiff_t columns, float *sums);
    void (*addColumnSumsOfSquares)(const float *x, const float *mean, ptrdiff_t rows, ptrdiff_t columns, float *sums);
    void (*addRowToRows)(const float *row, float *matrix, ptrdiff_t rows, ptrdiff_t columns);
    void (*scaleRows)(const float *x, const float *scale, const float *_Nullable shift, float *y, ptrdiff_t rows,
                      ptrdiff_t columns);
    void (*addScaledRows)(const float *x, const float *scale, float *sums, ptrdiff_t rows, ptrdiff_t columns);
    void (*addTo)(const float *source, float *target, ptrdiff_t count);
    void (*addScaled)(const float *source, float factor, float *target, ptrdiff_t count);
    void (*scale)(const float *x, float factor, float *y, ptrdiff_t count);
    void (*divide)(const float *x, float divisor, float *y, ptrdiff_t count);
    double (*product)(const float *x, const float *y, ptrdiff_t count);
    double (*squaredNorm)(const float *x, ptrdiff_t count);
    void (*squaredDistances)(float norm, const float *norms, float *x, ptrdiff_t count);
    double (*squaredDistance)(const float *x, const float *y, ptrdiff_t count);
    float (*leastValue)(const float *x, ptrdiff_t count);
    double (*sumOfExponentials)(const float *x, float start, float factor, ptrdiff_t count);
    void (*sum)(const float *x, const float *y, float *target, ptrdiff_t count);
    // Of multiples of 16 values.
    void (*packHalves)(const float *values, uint16_t *halves, ptrdiff_t count);
    void (*unpackHalves)(const uint16_t *halves, float *values, ptrdiff_t count);
    void (*hash)(uint32_t *lanes, const float *values, ptrdiff_t count);
    uint32_t (*sumOfBits)(const float *values, ptrdiff_t count);

    // normalisations.h
    void (*normalise)(const float *x, const float *mean, const float *inverse, const float *scale, const float *shift,
                      float slope, float *y, ptrdiff_t rows, ptrdiff_t columns);
    void (*sumBatchGradients)(const float *dy, const float *x, const BatchStatistics *batch, float slope,
                              float *shiftSums, float *scaleSums, ptrdiff_t rows, ptrdiff_t columns);
    void (*batchInputGradient)(const float *dy, const float *x, const BatchStatistics *batch, float slope,
                               const float *shiftSums, const float *scaleSums, float share, float *dx, ptrdiff_t rows,
                               ptrdiff_t columns);
    void (*sumWithStandardised)(const float *values, const float *x, const float *mean, const float *inverse,
                                float *first, float *second, ptrdiff_t rows, ptrdiff_t columns);
    void (*groupDerivative)(const float *values, const float *x, const float *mean, const float *inverse,
                            const float *first, const float *second, const float *_Nullable factors,
                            const float *_Nullable after, float share, float *y, ptrdiff_t rows, ptrdiff_t columns);
    void (*sumGroupGradients)(const float *gradient, const float *factors, const float *tangent, float *ofE,
                              float *ofT, ptrdiff_t rows, ptrdiff_t columns);
    void (*sumGroupProducts)(const float *gradient, const float *factors, const float *tangent, const float *x,
                             const float *mean, const float *inverse, const float *ofE, const float *ofT, float *ab,
                             float *av, float *bv, ptrdiff_t rows, ptrdiff_t columns);
    void (*groupCurvature)(const float *gradient, const float *factors, const float *tangent, const float *x,
                           const float *mean, const float *inverse, const float *ofE, const float *ofT,
                           const float *ab, const float *av, const float *bv, float *dx, bool adding, ptrdiff_t rows,
                           ptrdiff_t columns);
    double (*sumOfValues)(const float *x, ptrdiff_t count);
    double (*sumOfSquaresAround)(const float *x, float mean, ptrdiff_t count);
    void (*standardise)(const float *x, float mean, float inverse, float *y, ptrdiff_t count);
    void (*layerDerivative)(const float *tangent, const float *v, float inverse, float *y, ptrdiff_t count);
    void (*layerCurvature)(const float *gradient, const float *tangent, const float *v, float inverse, float *dx,
                           bool adding, ptrdiff_t count);
    void (*pixelNormalise)(const float *x, float epsilon, float *y, ptrdiff_t pixels, ptrdiff_t channels);
    void (*pixelDerivative)(const float *tangent, const float *x, float epsilon, float *y, ptrdiff_t pixels,
                            ptrdiff_t channels);
    void (*pixelCurvature)(const float *gradient, const float *tangent, const float *x, float epsilon, float *dx,
                           bool adding, ptrdiff_t pixels, ptrdiff_t channels);
    void (*softmax)(float *scores, ptrdiff_t rows, ptrdiff_t columns);
    void (*softmaxDerivative)(const float *tangent, const float *weights, float *y, ptrdiff_t rows, ptrdiff_t columns);
    void (*addSoftmaxCurvature)(const float *gradient, const float *tangent, const float *weights, float *sum,
                                ptrdiff_t rows, ptrdiff_t columns);
    double (*sumOfDeviations)(const float *x, ptrdiff_t examples, ptrdiff_t values, float epsilon);
    void (*addDeviationGradient)(const float *x, ptrdiff_t examples, ptrdiff_t values, float epsilon, float share,
                                 float *gradients);

    // optimisers.h
    double (*descend)(float *values, const float *gradients, float factor, float rate, ptrdiff_t count);
    double (*descendWithMomentum)(float *values, const float *gradients, float factor, float *velocity, float rate,
                                  float momentum, ptrdiff_t count);
    double (*adam)(float *values, const float *gradients, float factor, float *first, float *second,
                   const AdamUpdate *update, float kept, ptrdiff_t count);
    double (*optimisticAdam)(float *values, const float *gradients, float factor, float *first, float *second,
                             float *previous, const AdamUpdate *update, ptrdiff_t count);
    double (*rmsprop)(float *values, const float *gradients, float factor, float *second, float rate, float keeping,
                      float taking, float epsilon, ptrdiff_t count);
    void (*moveAverage)(float *average, const float *values, float share, ptrdiff_t count);
    void (*clamp)(float *values, float bound, ptrdiff_t count);
    void (*addProductsWithRows)(const float *matrix, const float *x, double *products, ptrdiff_t rows,
                                ptrdiff_t columns);
    void (*addRowsTimes)(const float *matrix, const float *x, double *products, float *partial, ptrdiff_t rows,
                         ptrdiff_t columns);
    void (*pullBackRow)(const float *gradient, const float *column, float factor, float divisor, float *target,
                        ptrdiff_t count);

    // products.h
    /// C (+)= A B: one panel of C, `panels` of A so far apart and as many times 16 rows of a panel of B. The A of the
    /// next product lies `ahead` values further: it is fetched meanwhile, unless that is 0.
    void (*multiplyPanels)(const float *a, ptrdiff_t panelStep, ptrdiff_t panels, const float *b, float *c,
                           ptrdiff_t rows, bool adding, ptrdiff_t ahead);
    /// C (+)= Aᵀ B, of a panel of A and `number` panels of B and C, one or two.
    void (*multiplyPanelsTransposed)(const float *a, const float *b, ptrdiff_t bStep, ptrdiff_t count, float *c,
                                     ptrdiff_t cStep, int number, bool adding);
    void (*transpose16)(const float *source, ptrdiff_t step, float *result);
    /// c[n, j] = b[j] + Σ_k x[n, k] · a[j · columnStep + k · step] over `count` terms.
    void (*multiplyBatch)(const float *x, ptrdiff_t rows, ptrdiff_t count, const float *a, ptrdiff_t columns,
                          ptrdiff_t columnStep, ptrdiff_t step, const float *_Nullable bias, float *c, float *scratch);
    void (*multiplyBatchTransposed)(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t inputs,
                                    ptrdiff_t outputs, float *gradient, bool adding, float *scratch);

    // panelProducts.h: x [rows, inputs], dy [rows, outputs]; the weights W and their gradient as
    // [outputs / 16][inputs][16].
    /// y = x W + b.
    void (*multiplyStored)(const float *x, ptrdiff_t rows, ptrdiff_t inputs, const float *weight, ptrdiff_t outputs,
                           const float *_Nullable bias, float *y);
    /// dx = dy Wᵀ.
    void (*multiplyStoredTransposed)(const float *dy, ptrdiff_t rows, ptrdiff_t outputs, const float *weight,
                                     ptrdiff_t inputs, float *dx, float *scratch);
    /// dW (+)= xᵀ dy.
    void (*multiplyIntoStored)(const float *x, const float *dy, ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t outputs,
                               float *gradient, bool adding, float *scratch);

    // winograd.h
    /// X of some tiles, from the input.
    void (*transformInput)(const WinogradPlan *plan, const float *input, Part tiles, float *x, float *work);
    /// Z of some tiles, from the gradient of the output.
    void (*transformOutputGradient)(const WinogradPlan *plan, const float *gradient, Part tiles, float *z,
                                    float *work);
    /// The output of some tiles, from a few panels of Y.
    void (*writeOutput)(const WinogradPlan *plan, const float *y, Part tiles, Part panels, float *output, float *work);
    /// Writes a few panels of one phase of X to the gradient of the input under some tiles, which come in their
    /// order: what a tile shares with those above and to its left is added.
    void (*addInputGradient)(const WinogradPlan *plan, const float *x, Part tiles, ptrdiff_t phase, Part panels,
                             float *inputGradient, float *work);
    /// One phase's weights of some inputs and the 16 outputs of a panel: its taps, each [inputs, 16].
    void (*copyTaps)(const WinogradPlan *plan, const float *weight, ptrdiff_t phase, Part inputs, ptrdiff_t panel,
                     float *taps);
    /// The weights of some outputs and the 16 inputs of a panel: its taps, each [outputs, 16].
    void (*transposeTaps)(const WinogradPlan *plan, const float *weight, ptrdiff_t phase, ptrdiff_t panel,
                          Part outputs, float *taps);
    /// result[point] (+)= image[point] · weights[point] for all points: `count` terms from `image` on, into a few
    /// panels, of weights transformed from their taps.
    void (*addWinogradProducts)(const WinogradPlan *plan, const float *image, ptrdiff_t imagePoint, ptrdiff_t count,
                                ptrdiff_t panels, float *weights, const float *taps, float *result, bool adding,
                                const UpcomingWeights *upcoming);
    /// u[point] = left[point]ᵀ · right[point] for all points, a few panels of the one and one of the other.
    void (*multiplyWinogradTransposed)(const WinogradPlan *plan, const float *left, const float *right,
                                       ptrdiff_t panels, float *u, const UpcomingWeights *upcoming);
    /// The weights' gradient (+)= U, a few panels of inputs of one phase by 16 outputs.
    void (*writeWeightGradient)(const WinogradPlan *plan, const float *u, ptrdiff_t phase, Part panels,
                                ptrdiff_t outputPanel, float *weightGradient, bool adding, float *work);

    // convolutions.h
    void (*fillPlane)(float *plane, const Plane *shape, const float *image, ptrdiff_t height, ptrdiff_t width,
                      ptrdiff_t pixelStep);
    /// y[p, q, o] = Σ x[p · s + i, q · t + j, c] · w[i, j, c, o], of the plane x and the weights in panels.
    void (*correlate)(const float *plane, const Plane *shape, const float *weights, const ConvolutionShape *geometry,
                      ptrdiff_t strideHeight, ptrdiff_t strideWidth, float *output, ptrdiff_t height, ptrdiff_t width,
                      ptrdiff_t channels, ptrdiff_t pixelStep);
    /// dw[i, j, c, o] += Σ x[p · s + i, q · t + j, c] · dy[p, q, o], of the plane x and the gradient in panels.
    void (*addGroupProducts)(const float *plane, const Plane *shape, const float *gradient,
                             const ConvolutionShape *geometry, ptrdiff_t outputs, float *weightGradient);
    /// Rows of `columns` values, `step` values apart, as panels of 16 columns; the last is filled up with zeros.
    void (*packRows)(const float *values, ptrdiff_t rows, ptrdiff_t step, ptrdiff_t columns, float *panels);
    void (*depthwiseForward)(const float *x, const float *weight, float *y, const ConvolutionShape *shape,
                             ptrdiff_t batch);
    void (*depthwiseInputGradient)(const float *dy, const float *weight, float *dx, const ConvolutionShape *shape,
                                   ptrdiff_t batch);
    void (*addDepthwiseWeightGradient)(const float *x, const float *dy, float *dw, const ConvolutionShape *shape,
                                       ptrdiff_t batch);
    /// dx += the windows of some output pixels, each added where it came from.
    void (*addWindows)(const float *windows, Part pixels, const ConvolutionShape *shape, float *dx);

    // fewChannels.h; the weights are [tap, few, many]
    /// many = the sums of few · weights.
    void (*expandFew)(const float *few, const float *weights, const ConvolutionShape *shape, ptrdiff_t batch,
                      bool fewAreInputs, float *many);
    /// few = the sums of many · weights.
    void (*reduceToFew)(const float *many, const float *weights, const ConvolutionShape *shape, ptrdiff_t batch,
                        bool fewAreInputs, float *few);
    /// sums += the sums of few · many of each image, which are taken in `sumsOfImage`.
    void (*addProductsOfFew)(const float *few, const float *many, const ConvolutionShape *shape, ptrdiff_t batch,
                             bool fewAreInputs, float *sums, float *sumsOfImage);

    // images.h
    void (*maxout)(const float *maps, ptrdiff_t pieces, float *y, float *winners, ptrdiff_t count);
    void (*poolMaximum)(const float *x, const PoolingShape *shape, ptrdiff_t batch, float *y, float *winners);
    void (*poolSum)(const float *x, const PoolingShape *shape, ptrdiff_t batch, bool isMean, float *y);
    void (*poolSumGradient)(const float *dy, const PoolingShape *shape, ptrdiff_t batch, bool isMean, float *dx);
    void (*resample)(const float *x, const ResamplingShape *shape, ptrdiff_t batch, float *y);
    void (*resampleGradient)(const float *dy, const ResamplingShape *shape, ptrdiff_t batch, float *dx);
    void (*widenKernel)(const float *narrow, ptrdiff_t inputs, ptrdiff_t outputs, bool isTransposed, float *wide);
    void (*widenKernelGradient)(const float *wide, ptrdiff_t inputs, ptrdiff_t outputs, bool isTransposed, bool adding,
                                float *narrow);

    // draws.h
    /// The 32 words of eight blocks: word w of block i is words[8 w + i].
    void (*philox)(PhiloxKey key, uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t *words);
    void (*drawUniform)(float *values, PhiloxKey key, DrawCounter counter, ptrdiff_t samples, ptrdiff_t perSample,
                        float low, float width);
    void (*drawNormal)(float *values, PhiloxKey key, DrawCounter counter, ptrdiff_t samples, ptrdiff_t perSample,
                       float deviation);
    void (*drawMask)(float *values, PhiloxKey key, DrawCounter counter, ptrdiff_t samples, ptrdiff_t perSample,
                     float kept);
} KernelTable;

// MARK: The choice

/// The instruction sets that kernels are compiled for, the lower first.
enum { plainInstructions, avx2Instructions, avx512Instructions, instructionSets };

/// What a set is called where one is asked for, and where it is named.
const char *kernels_option(int set);
const char *kernels_name(int set);

/// The highest set that this processor has.
int kernels_of_processor(void);

/// The set in use: at first the highest, or a lower one where GAN_DIST_INSTRUCTIONS is its option.
int kernels_in_use(void);
void kernels_use(int set);

/// Has OpenBLAS take the kernels of such processors, unless OPENBLAS_CORETYPE says which: not while it computes.
void kernels_use_blas(int set);
/// See InstructionSet.flushSubnormals.
void kernels_flush_subnormals(void);

extern const KernelTable *chosenKernels;
static inline const KernelTable *kernels(void) { return chosenKernels; }

#pragma clang assume_nonnull end
