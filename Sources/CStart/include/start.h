#pragma once
#include <stddef.h>

// What has to work before Swift does: this code runs before the shared libraries' initialisers and main, and in
// signal handlers. It opens descriptors 0 to 2 where they are closed, and limits the time of the start.

// Loading the libraries is watched by itself. From now on `activity` has the start's limit of seconds
// (GAN_DIST_START_LIMIT; else 60 on one node, 300 across nodes) and `grace` more; after it the process ends with a
// sentence and 70. `activity` stays the caller's.
void start_watch(const char *activity, int grace);
void start_end_watch(void);

// Whether `bytes` more may be mapped; only a limit of address space (ulimit -v) makes it false.
int start_has_room(size_t bytes);
// The limit of address space in bytes; 0 where there is none.
size_t start_memory_limit(void);

// Whether this process has no rank, or is the first.
int start_is_first(void);

// Sends on what the C library holds of standard output. Returns 0, or the errno of what was lost of all that was
// printed.
int start_flush_output(void);

// SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are noted from now on. HUP and INT stay ignored where they are. Before
// `stop_begin` the first three end the process with 128 and their number; after it a second of them does, at least a
// second after the first, unless `stop_notice` was called between.
void stop_install(void);
void stop_begin(void);
void stop_notice(void);
// The last signal noted; 0 if none was.
int stop_received(void);
