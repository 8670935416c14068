#include "tables.h"

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// Sixteen registers of eight values.
#define TABLE avx2Kernels
#define ROWS_AT_A_TIME 4
#define ROWS_OF_A_TILE 6
#define PANELS_IN_REGISTERS 1
#define FUSED_PRODUCTS 1

#include "kernels/all.h"

#pragma clang attribute pop

#endif
