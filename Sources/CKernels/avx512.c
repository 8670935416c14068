#include "tables.h"

#if defined(__x86_64__)

#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"))), apply_to = function)

// Thirty-two registers of sixteen values: room for the sums of two panels.
#define TABLE avx512Kernels
#define ROWS_AT_A_TIME 8
#define ROWS_OF_A_TILE 8
#define PANELS_IN_REGISTERS 2
#define FUSED_PRODUCTS 1

#include "kernels/all.h"

#pragma clang attribute pop

#endif
