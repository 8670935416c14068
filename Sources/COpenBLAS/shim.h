#pragma once
#include <cblas.h>
#include <stddef.h>

/* LAPACK's eigenvalues of a symmetric matrix, which the OpenBLAS library contains and its headers leave out: Fortran's
   way of calling, where the lengths of the two character arguments follow at the end. */
void dsyevd_(const char *job, const char *half, const int *order, double *matrix, const int *stride, double *values,
             double *work, const int *work_count, int *integers, const int *integer_count, int *status,
             size_t job_length, size_t half_length);

/* LAPACK's Cholesky decomposition, likewise. */
void dpotrf_(const char *half, const int *order, double *matrix, const int *stride, int *status, size_t half_length);
