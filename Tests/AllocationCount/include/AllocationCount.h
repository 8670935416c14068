#pragma once
#include <stddef.h>

/// Calls of malloc, calloc, realloc and their aligned kin that the calling thread has made, from Swift or C, in a
/// program that links this: its malloc takes the place of the C library's.
size_t allocationsOfThisThread(void);
