#pragma once

// A crash inside a library that reads what others made, as a message and an exit code instead of a signal:
// HDF5 1.10 crashes on some damaged files.

// From now on a crash of a thread that is inside (`crash_enter`) prints what `crash_says` and ends the process with
// `exit_code`; any other goes to who handled it before.
void crash_catch(int exit_code);
// At most 4 kB are kept. Not to be called by two threads at once.
void crash_says(const char *message);
void crash_enter(void);
void crash_leave(void);
