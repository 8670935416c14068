// The kernels of one instruction set. The including file says which, and what it has: ROWS_AT_A_TIME,
// ROWS_OF_A_TILE, PANELS_IN_REGISTERS, FUSED_PRODUCTS and the TABLE's name.

// Vectors that are passed in memory where there are no registers for them never leave this file.
#pragma clang diagnostic ignored "-Wpsabi"

#include "vectors.h"
#include "functions.h"
#include "activations.h"
#include "reductions.h"
#include "normalisations.h"
#include "optimisers.h"
#include "products.h"
#include "denseProducts.h"
#include "panelProducts.h"
#include "winogradMaps.h"
#include "winograd.h"
#include "convolutions.h"
#include "fewChannels.h"
#include "images.h"
#include "draws.h"

const KernelTable TABLE = {
    .hasFusedProducts = FUSED_PRODUCTS,
    .rowsAtATime = ROWS_AT_A_TIME,
    .panelsInRegisters = PANELS_IN_REGISTERS,
    .exponential = exponential, .logarithm = logarithm, .logarithmOfOnePlus = logarithmOfOnePlus,
    .sinCosOfTurns = sinCosOfTurns, .sigmoid = sigmoid, .hyperbolicTangent = hyperbolicTangent, .softplus = softplus,
    .silu = silu, .gelu = gelu, .leakyRelu = leakyRelu, .leakyReluGradient = leakyReluGradient, .applyMask = applyMask,
    .sigmoidGradient = sigmoidGradient, .hyperbolicTangentGradient = hyperbolicTangentGradient,
    .softplusGradient = softplusGradient, .geluGradient = geluGradient, .siluGradient = siluGradient,
    .sigmoidCurvature = sigmoidCurvature, .hyperbolicTangentCurvature = hyperbolicTangentCurvature,
    .softplusCurvature = softplusCurvature, .geluCurvature = geluCurvature, .siluCurvature = siluCurvature,
    .addColumnSums = addColumnSums, .addWeightedColumnSums = addWeightedColumnSums,
    .addColumnSumsOfProducts = addColumnSumsOfProducts, .addColumnSumsOfSquares = addColumnSumsOfSquares,
    .addRowToRows = addRowToRows, .scaleRows = scaleRows, .addScaledRows = addScaledRows, .addTo = addTo,
    .addScaled = addScaled, .scale = scale, .divide = divide, .product = product, .squaredNorm = squaredNorm,
    .squaredDistances = squaredDistances, .squaredDistance = squaredDistance, .leastValue = leastValue,
    .sumOfExponentials = sumOfExponentials, .sum = sum, .packHalves = packHalves, .unpackHalves = unpackHalves,
    .hash = hash, .sumOfBits = sumOfBits, .normalise = normalise, .sumBatchGradients = sumBatchGradients,
    .batchInputGradient = batchInputGradient, .sumWithStandardised = sumWithStandardised,
    .groupDerivative = groupDerivative, .sumGroupGradients = sumGroupGradients, .sumGroupProducts = sumGroupProducts,
    .groupCurvature = groupCurvature, .sumOfValues = sumOfValues, .sumOfSquaresAround = sumOfSquaresAround,
    .standardise = standardise, .layerDerivative = layerDerivative, .layerCurvature = layerCurvature,
    .pixelNormalise = pixelNormalise, .pixelDerivative = pixelDerivative, .pixelCurvature = pixelCurvature,
    .softmax = softmax, .softmaxDerivative = softmaxDerivative, .addSoftmaxCurvature = addSoftmaxCurvature,
    .sumOfDeviations = sumOfDeviations, .addDeviationGradient = addDeviationGradient, .descend = descend,
    .descendWithMomentum = descendWithMomentum, .adam = adam, .optimisticAdam = optimisticAdam, .rmsprop = rmsprop,
    .moveAverage = moveAverage, .clamp = clamp, .addProductsWithRows = addProductsWithRows,
    .addRowsTimes = addRowsTimes, .pullBackRow = pullBackRow, .multiplyPanels = multiplyPanels,
    .multiplyPanelsTransposed = multiplyPanelsTransposed, .transpose16 = transpose16, .multiplyBatch = multiplyBatch,
    .multiplyBatchTransposed = multiplyBatchTransposed, .multiplyStored = multiplyStored,
    .multiplyStoredTransposed = multiplyStoredTransposed, .multiplyIntoStored = multiplyIntoStored,
    .transformInput = transformInput,
    .transformOutputGradient = transformOutputGradient, .writeOutput = writeOutput,
    .addInputGradient = addInputGradient, .copyTaps = copyTaps, .transposeTaps = transposeTaps,
    .addWinogradProducts = addWinogradProducts, .multiplyWinogradTransposed = multiplyWinogradTransposed,
    .writeWeightGradient = writeWeightGradient, .fillPlane = fillPlane, .correlate = correlate,
    .addGroupProducts = addGroupProducts, .packRows = packRows, .depthwiseForward = depthwiseForward,
    .depthwiseInputGradient = depthwiseInputGradient, .addDepthwiseWeightGradient = addDepthwiseWeightGradient,
    .addWindows = addWindows, .expandFew = expandFew, .reduceToFew = reduceToFew,
    .addProductsOfFew = addProductsOfFew, .maxout = maxout, .poolMaximum = poolMaximum, .poolSum = poolSum,
    .poolSumGradient = poolSumGradient, .resample = resample, .resampleGradient = resampleGradient,
    .widenKernel = widenKernel, .widenKernelGradient = widenKernelGradient, .philox = philox,
    .drawUniform = drawUniform, .drawNormal = drawNormal, .drawMask = drawMask,
};
