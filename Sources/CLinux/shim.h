// System calls that Swift cannot import: variadic functions, and those without a wrapper in glibc.
#pragma once
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Sleeps while *word == expected; the word may lie in memory shared by processes. Returns early at will: check again.
static inline void linux_futex_wait(uint32_t *word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT, expected, (void *)0, (void *)0, 0);
}

// Wakes every thread, of any process, that sleeps on *word.
static inline void linux_futex_wake_all(uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, (void *)0, (void *)0, 0);
}

// The kernel sends `signal` to this process when its parent ends. Returns 0 or errno.
static inline int linux_signal_on_parent_death(int signal) {
  return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0, 0, 0) == 0 ? 0 : errno;
}

// Names the calling thread, for top -H and debuggers; 15 bytes are kept.
static inline void linux_name_thread(const char *name) { prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }

// Tells the processor that this thread waits in a loop.
static inline void linux_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The processors that this thread may run on, as a set of `bytes` bytes, zero where it may not. Returns 0 or errno.
static inline int linux_processors(void *set, unsigned long bytes) {
  __builtin_memset(set, 0, bytes);
  return syscall(SYS_sched_getaffinity, 0, bytes, set) >= 0 ? 0 : errno;
}
