#pragma once

// What Swift's SIMD types lack: SIMD8.squareRoot() takes each lane by itself, through the C library where errno is concerned.

typedef float float8 __attribute__((ext_vector_type(8)));

/// √x of eight values, each correctly rounded.
static inline float8 squareRoots(float8 x) { return __builtin_elementwise_sqrt(x); }
