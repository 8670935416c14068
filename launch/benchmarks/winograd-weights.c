// The products of a convolution in Winograd's form with weights that each pass transforms for itself, as
// Sources/Kernels/WinogradConvolution.swift does it, and with weights that are there already transformed, as a node
// could have them once: launch/benchmarks/winograd-weights compiles it with the kernels of one instruction set.
//
// Of both the images are transformed already, and weights are elsewhere in memory in each round, as a step finds them.

#include "tables.h"

#if defined(AVX512)
#define TARGET "avx2,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
#define ROWS_AT_A_TIME 8
#define ROWS_OF_A_TILE 8
#define PANELS_IN_REGISTERS 2
#else
#define TARGET "avx2,fma"
#define ROWS_AT_A_TIME 4
#define ROWS_OF_A_TILE 6
#define PANELS_IN_REGISTERS 1
#endif
#define FUSED_PRODUCTS 1
#define TABLE table

#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)

#include "kernels/all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { chunk = 64, rounds = 9, mostBytes = 64 << 20 };

typedef struct {
    WinogradPlan plan;
    ptrdiff_t inputs, outputs, phases, points, panelsAtATime;
    float *x, *y, *taps, *transformed;
} Layer;

/// A block of panels and terms: what both forms run through.
typedef struct {
    ptrdiff_t panel, panels, phase, input;
} Block;

static float *allocate(ptrdiff_t count) {
    float *memory = malloc(((size_t)count + 4096) * sizeof *memory);
    if (!memory) exit(71);
    for (ptrdiff_t i = 0; i < count; i++) memory[i] = 0.01f * (float)(i % 17);
    return memory;
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void transformAnew(const Layer *l, Block b, const float *weight) {
    const WinogradPlan *p = &l->plan;
    const ptrdiff_t tapsOfPanel = p->taps * p->taps * p->chunkPoint;
    for (ptrdiff_t panel = 0; panel < b.panels; panel++) {
        copyTaps(p, weight, b.phase, (Part){b.input, b.input + chunk}, b.panel + panel, l->taps + panel * tapsOfPanel);
    }
    const bool isLast = b.input + chunk == l->inputs;
    const ptrdiff_t next = isLast ? 0 : b.input + chunk, parts = l->points * b.panels;
    const UpcomingWeights upcoming = {
        weight + next * l->outputs + b.panel * 16, isLast ? (b.phase + 1) % l->phases : b.phase, chunk, b.panels,
        (p->taps * p->taps * chunk * b.panels + parts - 1) / parts, 0, 0, 0};
    addWinogradProducts(p, l->x + (b.phase * l->inputs + b.input) * p->rows, p->inputPoint, chunk, b.panels,
                        l->transformed, l->taps, l->y, b.phase > 0 || b.input > 0, &upcoming);
}

/// `weight`: [panels][phase][chunk][panel of these][point].
static void readTransformed(const Layer *l, Block b, const float *weight) {
    const WinogradPlan *p = &l->plan;
    const ptrdiff_t ofPanel = l->points * p->chunkPoint, chunks = l->inputs / chunk;
    const float *here =
        weight + (b.panel * l->phases * chunks + (b.phase * chunks + b.input / chunk) * b.panels) * ofPanel;
    const float *image = l->x + (b.phase * l->inputs + b.input) * p->rows;
    for (ptrdiff_t panel = 0; panel < b.panels; panel++, here += ofPanel) {
        for (ptrdiff_t point = 0; point < l->points; point++) {
            const ptrdiff_t ahead = point < l->points - 1
                ? p->inputPoint : 16 * p->rows * (chunk / 16) - (l->points - 1) * p->inputPoint;
            multiplyPanels(image + point * p->inputPoint, 16 * p->rows, chunk / 16, here + point * p->chunkPoint,
                           l->y + point * p->resultPoint + panel * 16 * p->rows, p->rows, b.phase > 0 || b.input > 0,
                           panel == 0 ? ahead : 0);
            for (ptrdiff_t i = 0; i < p->chunkPoint; i += 16) {
                prefetchFar(here + ofPanel + point * p->chunkPoint + i);
            }
        }
    }
}

static void forEachBlock(const Layer *l, void (*body)(const Layer *, Block, const float *), const float *weight) {
    for (ptrdiff_t panel = 0; panel < l->outputs / 16; panel += l->panelsAtATime) {
        const ptrdiff_t panels = least(l->panelsAtATime, l->outputs / 16 - panel);
        for (ptrdiff_t phase = 0; phase < l->phases; phase++) {
            for (ptrdiff_t input = 0; input < l->inputs; input += chunk) {
                body(l, (Block){panel, panels, phase, input}, weight);
            }
        }
    }
}

static void measure(ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t size, ptrdiff_t taps, ptrdiff_t batch) {
    const ptrdiff_t stride = taps == 2 ? 2 : 1, kernel = taps == 2 ? 4 : 3;
    const ptrdiff_t tiles = batch * ((size + 3) / 4) * ((size + 3) / 4);
    const ptrdiff_t rows = tiles < 32 ? partsOf(tiles, rowsAtATime) * rowsAtATime : tiles;
    Layer l = {.inputs = inputs, .outputs = outputs, .phases = stride * stride, .points = (taps + 3) * (taps + 3)};
    l.panelsAtATime = least(most((1 << 17) / (l.points * 16 * rows), 1), 4);
    l.plan = (WinogradPlan){
        .shape = {.inputHeight = stride * size, .inputWidth = stride * size, .inputChannels = inputs,
                  .outputHeight = size, .outputWidth = size, .outputChannels = outputs, .kernelHeight = kernel,
                  .kernelWidth = kernel, .strideHeight = stride, .strideWidth = stride, .padTop = 1, .padLeft = 1},
        .taps = taps, .tileRows = (size + 3) / 4, .tileColumns = (size + 3) / 4, .rows = rows,
        .inputPoint = l.phases * inputs * rows + 16, .outputPoint = outputs * rows + 16,
        .resultPoint = l.panelsAtATime * 16 * rows + 16, .chunkPoint = chunk * 16 + 16};
    const ptrdiff_t weights = kernel * kernel * inputs * outputs;
    const ptrdiff_t transformed = outputs / 16 * l.phases * (inputs / chunk) * l.points * l.plan.chunkPoint;
    const ptrdiff_t copies = 1 + mostBytes / 4 / weights, transformedCopies = 1 + mostBytes / 4 / transformed;
    float *w = allocate(copies * weights), *u = allocate(transformedCopies * transformed);
    l.x = allocate(l.points * l.plan.inputPoint);
    l.y = allocate(l.points * l.plan.resultPoint);
    l.taps = allocate(taps * taps * l.panelsAtATime * l.plan.chunkPoint);
    l.transformed = allocate(l.points * l.plan.chunkPoint);
    double anew[rounds], read[rounds];
    for (int round = -1; round < rounds; round++) {
        const double start = milliseconds();
        forEachBlock(&l, transformAnew, w + (round + 1) % copies * weights);
        const double middle = milliseconds();
        forEachBlock(&l, readTransformed, u + (round + 1) % transformedCopies * transformed);
        if (round >= 0) anew[round] = middle - start, read[round] = milliseconds() - middle;
    }
    qsort(anew, rounds, sizeof *anew, compare);
    qsort(read, rounds, sizeof *read, compare);
    const double one = anew[rounds / 2], other = read[rounds / 2];
    printf("| %td×%td, %td → %td channels, %td×%td | %td | %.2f | %.2f | %.2f |\n", kernel, kernel, inputs, outputs,
           stride * size, stride * size, tiles, one, other, other / one);
    free(w), free(u), free(l.x), free(l.y), free(l.taps), free(l.transformed);
}

int main(void) {
    printf("| convolution | tiles | weights transformed in the pass, ms | read, ms | read / transformed |\n");
    printf("| --- | --- | --- | --- | --- |\n");
    for (ptrdiff_t batch = 8; batch <= 64; batch *= 2) measure(256, 512, 4, 2, batch);
    for (ptrdiff_t batch = 2; batch <= 32; batch *= 4) measure(128, 256, 8, 2, batch);
    for (ptrdiff_t batch = 8; batch <= 64; batch *= 2) measure(512, 512, 4, 3, batch);
    for (ptrdiff_t batch = 2; batch <= 32; batch *= 4) measure(256, 256, 8, 3, batch);
    return 0;
}

#pragma clang attribute pop
