# shellcheck shell=bash
# The environment that every script here runs gan-dist in. Source it.
# What is set already, by the site or the user, stays.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export GAN_DIST="${GAN_DIST:-$root/.build/release/gan-dist}"

# One compute thread a rank: the ranks are the parallelism.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"

# Open MPI refuses root unless told twice; containers and CI are root.
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores are allowed, and a waiting rank gives its core away.
export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe:-1}"
export OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"
# Not bound to cores: two jobs on one machine would share the first ones.
export OMPI_MCA_hwloc_base_binding_policy="${OMPI_MCA_hwloc_base_binding_policy:-none}"
# What Open MPI would choose by itself; asked to choose, it tries another way first, of which a kill leaves a file in /dev/shm.
export OMPI_MCA_shmem="${OMPI_MCA_shmem:-mmap}"
# A lost node is noticed after 10 + 4 × 5 s; Open MPI's own setting is eight minutes.
export OMPI_MCA_oob_tcp_keepalive_time="${OMPI_MCA_oob_tcp_keepalive_time:-10}"
export OMPI_MCA_oob_tcp_keepalive_intvl="${OMPI_MCA_oob_tcp_keepalive_intvl:-5}"
export OMPI_MCA_oob_tcp_keepalive_probes="${OMPI_MCA_oob_tcp_keepalive_probes:-4}"

# The sentence on standard error, the rest of the script not run. The code is one of sysexits.h.
fail() { # CODE SENTENCE
    echo "${0##*/}: $2" >&2
    exit "$1"
}

# A heading between the parts of a long script's output.
say() { printf '\n== %s\n' "$*"; }
