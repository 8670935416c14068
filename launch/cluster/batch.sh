# shellcheck shell=bash
# What the batch scripts share. Source it after common.sh, once `run` names the run folder.
#
# gan-dist's side of the contract: USR1, USR2 or its own --walltime → the ranks agree, save, and leave with 75.
# `--resume auto` begins where there is no checkpoint and continues where there is one. So the same script runs again
# and again.

: "${run:?names the run folder}"

# Options of mpirun: a rank has a core to itself, and ranks that follow one another have neighbouring cores, one NUMA
# domain and one node after another, as their gradients are added first. The job's output says who has which core.
# Where the scheduler counts hardware threads, and so gives fewer cores than ranks, they share, and gan-dist warns.
# shellcheck disable=SC2034  # read by the scripts
bound=(--bind-to core:overload-allowed --map-by core --report-bindings)

# The step of the newest checkpoint, 0 where there is none.
newest_step() {
    local file step=0
    for file in "$run"/checkpoints/step-*.h5; do
        if [ -e "$file" ]; then step=$((10#$(basename "$file" .h5 | tr -dc 0-9))); fi
    done
    echo "$step"
}

# Removes what Open MPI's jobs of this user left on this node where their launcher was killed: shared memory that no
# living process has had for ten minutes, and folders of launchers that are no more.
sweep() {
    local file
    find "${OMPI_MCA_btl_vader_backing_directory:-/dev/shm}" -maxdepth 1 -user "$(id -u)" -mmin +10 \
        \( -name 'vader_segment.*' -o -name 'osc_sm.*' \) 2>/dev/null |
        while read -r file; do
            if ! grep -qsF "$file" /proc/[0-9]*/maps; then rm -f "$file"; fi
        done
    for file in "${TMPDIR:-/tmp}/ompi.$(hostname).$(id -u)"/pid.*; do
        if [ -d "$file" ] && ! kill -0 "${file##*.}" 2>/dev/null; then rm -rf "$file"; fi
    done
}

# Kills a launcher that has had ranks (or srun, or ssh to other nodes) and has had none for a minute. That of libpmix
# 4.2 never ends where a rank was gone before it had answered the rank's first words.
end_stuck() { # PROCESS
    local had=0 alone=0
    while [ "$alone" -lt 6 ]; do
        # Where the job ends first this sleep is left, which must not keep the job's output open.
        sleep 10 >/dev/null 2>&1
        if ! kill -0 "$1" 2>/dev/null; then return; fi
        if pgrep -P "$1" >/dev/null; then had=1 alone=0; else alone=$((alone + had)); fi
    done
    echo "the launcher does not end though all its ranks have: it is killed" >&2
    kill -KILL "$1" 2>/dev/null || true
}

# Runs the launcher and passes a warning of the scheduler on to it as USR1, which mpirun and srun forward to every
# rank (TERM they do not). Its exit code is `code`; `ended` is 1 where the warning was TERM, by which schedulers end a
# job for good.
supervise() { # LAUNCHER…
    local warned before
    sweep
    before=$(newest_step)
    # shellcheck disable=SC2034  # read by the scripts
    ended=0
    "$@" &
    local job=$!
    end_stuck "$job" &
    local watch=$!
    trap 'warned=1; kill -USR1 "$job" 2>/dev/null || true' USR1 USR2
    trap 'warned=1; ended=1; kill -USR1 "$job" 2>/dev/null || true' TERM
    while :; do
        # A trapped signal ends the wait but not the job: then wait again.
        warned=0
        code=0
        wait "$job" || code=$?
        if [ "$warned" -eq 0 ]; then break; fi
    done
    trap - USR1 USR2 TERM
    kill "$watch" 2>/dev/null || true
    wait "$watch" 2>/dev/null || true
    # An mpirun that is itself sent TERM or INT lets its ranks save, for two seconds, and ends with 1, whatever their
    # code.
    if [ "$code" -eq 1 ] && [ "$(newest_step)" -gt "$before" ]; then code=75; fi
}

# Whether the job is to run again: it was stopped before its end (75), or by a warning that came before the program
# could ask for it (138), a rank was killed (137; 141 where the pipe to it ended mpirun), or a node was lost (205,
# mpirun's); and this is not the third time without a newer checkpoint than the time before. Counts in RUN.restarts.
again() {
    local step before=-1 idle=0
    case $code in
        75 | 137 | 138 | 141 | 205) ;;
        *) return 1 ;;
    esac
    step=$(newest_step)
    if [ -r "$run.restarts" ]; then read -r before idle <"$run.restarts"; fi
    if [ "$step" -gt "$before" ]; then idle=0; else idle=$((idle + 1)); fi
    echo "$step $idle" >"$run.restarts"
    if [ "$idle" -ge 3 ]; then
        echo "not queued again: three restarts without progress beyond step $step" >&2
        return 1
    fi
    echo "the newest checkpoint is of step $step: to be run again"
}
