#include "tables.h"

#include <stdlib.h>
#include <strings.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

const KernelTable *chosenKernels = &plainKernels;
static int inUse = plainInstructions;

int kernels_in_use(void) { return inUse; }

void kernels_flush_subnormals(void) {
#if defined(__x86_64__)
    // Flush to zero (bit 15) of results, and subnormals are zeros (bit 6) of operands.
    _mm_setcsr(_mm_getcsr() | 1u << 15 | 1u << 6);
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | 1u << 24));
#endif
}

#if defined(__x86_64__)

static const char *const options[instructionSets] = {"plain", "avx2", "avx512"};
static const char *const names[instructionSets] = {"SSE2", "AVX2 and FMA", "AVX-512"};
static const KernelTable *const tables[instructionSets] = {&plainKernels, &avx2Kernels, &avx512Kernels};

const char *kernels_option(int set) { return options[set]; }
const char *kernels_name(int set) { return names[set]; }

int kernels_of_processor(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return plainInstructions;
    const int hasAVX512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                          && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                          && __builtin_cpu_supports("avx512vl");
    return hasAVX512 ? avx512Instructions : avx2Instructions;
}

// MARK: OpenBLAS's kernels

// Where OpenBLAS has kernels for many processors it chooses when it is loaded, by what it knows of the processor or by
// OPENBLAS_CORETYPE. These two have it choose again.
extern char *openblas_get_corename(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

void kernels_use_blas(int set) {
    static const char *const types[instructionSets] = {"Prescott", "Haswell", "SkylakeX"};
    if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit || getenv("OPENBLAS_CORETYPE")) return;
    if (setenv("OPENBLAS_CORETYPE", types[set], 1) != 0) return;
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    unsetenv("OPENBLAS_CORETYPE");
}

// For a processor that is newer than itself OpenBLAS may take kernels for one without AVX2, some ten times slower:
// 0.3.21 takes those of Prescott on Xeons of 2023.
static bool blas_lacks_avx2(void) {
    static const char *const with[] = {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids", "Excavator"};
    if (!openblas_get_corename) return false;
    const char *chosen = openblas_get_corename();
    for (size_t index = 0; index < sizeof with / sizeof *with; index++) {
        if (strcasecmp(chosen, with[index]) == 0) return false;
    }
    return true;
}

// MARK: The start

void kernels_use(int set) {
    inUse = set;
    chosenKernels = tables[set];
}

__attribute__((constructor)) static void choose(void) {
    const char *asked = getenv("GAN_DIST_INSTRUCTIONS");
    const int highest = kernels_of_processor();
    int set = highest;
    for (int lower = 0; asked && lower < highest; lower++) {
        if (strcmp(asked, options[lower]) == 0) set = lower;
    }
    kernels_use(set);
    if (set < highest || (set >= avx2Instructions && blas_lacks_avx2())) kernels_use_blas(set);
}

#else

#if defined(__ARM_NEON)
static const char *const name = "NEON";
#else
static const char *const name = "none";
#endif

const char *kernels_option(int set) { return set == plainInstructions ? "plain" : ""; }
const char *kernels_name(int set) { return set == plainInstructions ? name : ""; }
int kernels_of_processor(void) { return plainInstructions; }
void kernels_use(int set) { inUse = set; }
void kernels_use_blas(int set) { (void)set; }

#endif
