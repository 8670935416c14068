#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t child_start(const char *const *arguments, int *output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return 0;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);

    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t requests, defaults;
    // Launchers signal whole process groups: what asks the job to save does not end the child.
    sigemptyset(&requests);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&requests, signals[i]);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGXCPU);
    posix_spawnattr_setsigmask(&attributes, &requests);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    // Its crash is an answer, which needs no backtrace; and it computes no products.
    size_t count = 0;
    while (environ[count]) count++;
    char **environment = malloc((count + 3) * sizeof *environment);
    pid_t child = 0;
    int code = ENOMEM;
    if (environment) {
        environment[0] = "SWIFT_BACKTRACE=enable=no";
        environment[1] = "OPENBLAS_NUM_THREADS=1";
        for (size_t i = 0; i <= count; i++) environment[i + 2] = environ[i];
        code = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, (char *const *)arguments, environment);
        free(environment);
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    if (code != 0) {
        close(ends[0]);
        errno = code;
        return 0;
    }
    *output = ends[0];
    return child;
}

int child_wait(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void child_end_with_parent(void) {
    prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0, 0, 0);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

// The soft limit, within the hard one that others set.
static void set(int resource, rlim_t value) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0) return;
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    setrlimit(resource, &limit);
}

void child_limit_time(double seconds) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double total = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1 + seconds;
    set(RLIMIT_CPU, total < 1e6 ? (rlim_t)total : 1000000);
}

void child_limit_memory(size_t bytes) { set(RLIMIT_AS, bytes); }

int child_is_out_of_time(int signal) { return signal == SIGXCPU; }
