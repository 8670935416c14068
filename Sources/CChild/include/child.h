#pragma once
#include <stddef.h>
#include <sys/types.h>

// A child process that runs this same program: what Swift's import of the C library lacks.

// Starts it with `arguments`, NULL at their end. Its standard output is a pipe, whose other end is `output`; nothing
// else is open in it, and it ends with this process. Returns its id, or 0 with errno. posix_spawn's vfork copies none
// of the memory that a network's library has pinned, which is what Open MPI fears of fork.
pid_t child_start(const char *const *arguments, int *output);
// Waits for its end; the signal that ended it, or 0.
int child_wait(pid_t child);

// In the child: it ends with its parent.
void child_end_with_parent(void);
// Its processor time from now on, in seconds, and all that it maps, in bytes.
void child_limit_time(double seconds);
void child_limit_memory(size_t bytes);
// Whether a signal is that of `child_limit_time`.
int child_is_out_of_time(int signal);
