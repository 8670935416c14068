#pragma once

// `gan-dist: error: rank 3 on HOST: ` and the texts, NULL at their end, with one system call. May be called by signal
// handlers.
void start_say(const char *const *texts);
