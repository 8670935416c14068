#define _GNU_SOURCE
#include "start.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

enum { INTERNAL_ERROR = 70 };

static char host[65] = "?";
static const char *rank;
static int limit = 60;
static const char *volatile activity;
static volatile sig_atomic_t ticks_left;

static const char *value(char **environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') return *environment + length + 1;
    }
    return NULL;
}

static int number(const char *text) {
    int result = 0;
    if (!text || !*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || result > 100000) return -1;
        result = 10 * result + *text - '0';
    }
    return result;
}

static const char *digits(int value, char buffer[12]) {
    char *start = buffer + 11;
    *start = 0;
    do *--start = (char)('0' + value % 10); while ((value /= 10) > 0);
    return start;
}

void start_say(const char *const *texts) {
    char line[1024] = "gan-dist: error: ";
    size_t used = strlen(line);
    const char *place[] = {rank ? "rank " : "", rank ? rank : "", rank ? " on " : "", host, ": ", NULL};
    const char *const *lists[] = {place, texts};
    for (int list = 0; list < 2; list++) {
        for (const char *const *text = lists[list]; *text; text++) {
            size_t length = strlen(*text);
            if (used + length > sizeof line) break;
            memcpy(line + used, *text, length);
            used += length;
        }
    }
    if (write(STDERR_FILENO, line, used) < 0) {
        // The exit code says it too.
    }
}

int start_is_first(void) { return !rank || strcmp(rank, "0") == 0; }

// MARK: The limit of time

// Seconds are counted, so that a job that was suspended does not find itself late.
static void tick(int signal) {
    (void)signal;
    if (--ticks_left > 0) return;
    char buffer[12];
    const char *texts[] = {
        activity, " has not ended after ", digits(limit, buffer), " s; the job is ended\n",
        "gan-dist: Look at that host, its network and the job's limit of memory (ulimit -v), or allow more seconds "
        "with GAN_DIST_START_LIMIT.\n", NULL};
    start_say(texts);
    _exit(INTERNAL_ERROR);
}

void start_watch(const char *what, int grace) {
    activity = what;
    ticks_left = limit + grace;
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    struct itimerval every = {{1, 0}, {1, 0}};
    setitimer(ITIMER_REAL, &every, NULL);
}

void start_end_watch(void) {
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
}

static void choose_limit(char **environment) {
    const char *all = value(environment, "OMPI_COMM_WORLD_SIZE");
    const char *here = value(environment, "OMPI_COMM_WORLD_LOCAL_SIZE");
    const char *nodes = value(environment, "SLURM_STEP_NUM_NODES");
    int across = all ? !here || strcmp(all, here) != 0 : number(nodes) > 1;
    int wanted = number(value(environment, "GAN_DIST_START_LIMIT"));
    limit = wanted > 0 ? wanted : across ? 300 : 60;
}

// MARK: The limit of memory

size_t start_memory_limit(void) {
    struct rlimit space;
    return getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY ? space.rlim_cur : 0;
}

int start_has_room(size_t bytes) {
    void *room = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return 0;
    munmap(room, bytes);
    return 1;
}

// Returns where that cannot be done.
static void execute_again(char **arguments, char **environment) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    execve(path, arguments, environment);
}

// OpenBLAS begins a thread for each processor when it is loaded, and each takes 128 MB at once; where it gets none it
// asks for ever (its issue 5289). It reads its environment before main, and the C library's own cannot be changed
// yet: so the program is started again.
static void start_again_with_less(char **arguments, char **environment) {
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return;
    const char *threads = value(environment, "OPENBLAS_NUM_THREADS"), *arenas = value(environment, "MALLOC_ARENA_MAX");
    if (threads && arenas) return;
    size_t count = 0;
    while (environment[count]) count++;
    char *extended[count + 3];
    memcpy(extended, environment, count * sizeof *environment);
    if (!threads) extended[count++] = "OPENBLAS_NUM_THREADS=1";
    // And the C library would reserve 64 MB for each of the threads that MPI and a rank begin.
    if (!arenas) extended[count++] = "MALLOC_ARENA_MAX=2";
    extended[count] = NULL;
    execute_again(arguments, extended);
}

// MARK: Standard output

int start_flush_output(void) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    return errno ? errno : EIO;
}

// MARK: Before everything else

// A closed descriptor 0, 1 or 2 would be the next file's number, and what is printed would be written into that.
static void open_standard_files(void) {
    for (int file = 0; file <= 2; file++) {
        if (fcntl(file, F_GETFD) >= 0) continue;
        // Only to write where 0 is read and only to read where 1 and 2 are written: both fail, as closed ones do.
        open("/dev/null", file == 0 ? O_WRONLY : O_RDONLY);
    }
}

static void begin(int count, char **arguments, char **environment) {
    (void)count;
    rank = value(environment, "OMPI_COMM_WORLD_RANK");
    if (!rank) rank = value(environment, "PMIX_RANK");
    if (gethostname(host, sizeof host - 1) != 0) strcpy(host, "?");
    open_standard_files();
    start_again_with_less(arguments, environment);
    choose_limit(environment);
    start_watch("loading the libraries", 0);
}

// Of a program's three lists of functions to run before main this one comes first, before its libraries' initialisers.
__attribute__((section(".preinit_array"), used, retain))
static void (*const first)(int, char **, char **) = begin;

// The program's own initialisers come after its libraries'.
__attribute__((constructor)) static void loaded(void) {
    start_end_watch();
}
