#pragma once

// Of the plainest processor, whatever the build is for.
#if defined(__x86_64__)
#define PLAIN __attribute__((target("no-avx,no-sse3,no-popcnt,no-bmi,no-bmi2,no-lzcnt")))
#else
#define PLAIN
#endif

// `gan-dist: error: rank 3 on HOST: ` and the texts, NULL at their end, with one system call. May be called by signal
// handlers.
void start_say(const char *const *texts);
