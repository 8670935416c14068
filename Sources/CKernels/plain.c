// What every processor of its kind has: SSE2 on x86-64; NEON, with fused products, on aarch64.

#include "tables.h"

#define TABLE plainKernels
#define ROWS_AT_A_TIME 4
#define ROWS_OF_A_TILE 4
#define PANELS_IN_REGISTERS 1
#if defined(__aarch64__)
#define FUSED_PRODUCTS 1
#else
#define FUSED_PRODUCTS 0
#endif

#include "kernels/all.h"
