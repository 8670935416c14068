#include "CKernels.h"

#include <string.h>

extern const KernelTable plainKernels, avx2Kernels, avx512Kernels;
