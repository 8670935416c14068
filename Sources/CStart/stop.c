#define _GNU_SOURCE
#include "start.h"
#include "internal.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t received, begun, noticed, asked;
static struct timespec asked_at;

static const char *name(int signal) {
    return signal == SIGTERM ? "SIGTERM" : signal == SIGINT ? "SIGINT" : "SIGHUP";
}

static void leave(int signal, const char *when) {
    const char *texts[] = {"stopped by ", name(signal), when, NULL};
    if (start_is_first()) start_say(texts);
    _exit(128 + signal);
}

static void note(int signal) {
    if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) {
        if (!begun) leave(signal, " before training began: nothing was there to be saved\ngan-dist: Run it again.\n");
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        // One request may come twice, from the launcher and from the terminal.
        double since = (double)(now.tv_sec - asked_at.tv_sec) + 1e-9 * (double)(now.tv_nsec - asked_at.tv_nsec);
        if (asked && !noticed && since >= 1) {
            leave(signal, ", the second request to stop: the step under way did not end, nothing more is saved\n"
                          "gan-dist: Run again with --resume auto: it continues from the last checkpoint.\n");
        }
        if (!asked) asked_at = now;
        asked = 1;
    }
    received = signal;
}

void stop_install(void) {
    received = begun = noticed = asked = 0;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        // nohup. INT is ignored at the start of what a script runs in the background, too, and then asked for by kill.
        if (signals[i] == SIGHUP && before.sa_handler == SIG_IGN) continue;
        struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
        sigaction(signals[i], &action, NULL);
    }
}

void stop_begin(void) { begun = 1; }
void stop_notice(void) { noticed = 1; }
int stop_received(void) { return received; }
