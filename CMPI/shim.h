// What Swift cannot import of mpi.h: constants that are casts of addresses.
// Each getter keeps the spelling of the MPI standard.
#pragma once
#include <mpi.h>

#define GETTER(type, name) \
  static inline type gan_##name(void) __attribute__((swift_name("getter:" #name "()"))); \
  static inline type gan_##name(void) { return name; }

GETTER(MPI_Comm, MPI_COMM_WORLD)
GETTER(MPI_Comm, MPI_COMM_NULL)
GETTER(MPI_Datatype, MPI_BYTE)
GETTER(MPI_Datatype, MPI_FLOAT)
GETTER(MPI_Datatype, MPI_DOUBLE)
GETTER(MPI_Datatype, MPI_INT64_T)
GETTER(MPI_Op, MPI_SUM)
GETTER(MPI_Op, MPI_MIN)
GETTER(MPI_Op, MPI_MAX)
GETTER(MPI_Errhandler, MPI_ERRORS_RETURN)
GETTER(MPI_Info, MPI_INFO_NULL)
GETTER(MPI_Request, MPI_REQUEST_NULL)
GETTER(MPI_Win, MPI_WIN_NULL)
GETTER(void *, MPI_IN_PLACE)
GETTER(MPI_Status *, MPI_STATUSES_IGNORE)
