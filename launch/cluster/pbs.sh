#!/bin/bash
# PBS Pro, OpenPBS, Torque. Submit from the repository: qsub launch/cluster/pbs.sh
# PBS warns late or not at all, so gan-dist itself stops before the limit; the script then submits itself again.
#
# NOTE: these lines are your site's and your run's; the time given to gan-dist is five minutes less than PBS's.
#PBS -N gan-dist
#PBS -l select=2:ncpus=4:mpiprocs=4
#PBS -l walltime=02:00:00
#PBS -j oe
train=(--preset dcgan-32 --data data/fashion-mnist.h5 --walltime 01:55:00)
run=${RUN:-runs/dcgan-32}
# module load openmpi hdf5 openblas
set -euo pipefail
cd "$PBS_O_WORKDIR"
. launch/common.sh
. launch/cluster/batch.sh

# Debian's Open MPI knows no PBS: the hosts are handed to it, and it goes there by ssh.
hosts=$(sort "$PBS_NODEFILE" | uniq -c | awk '{printf "%s%s:%s", (NR > 1 ? "," : ""), $2, $1}')
supervise mpirun --host "$hosts" "${bound[@]}" -x OPENBLAS_NUM_THREADS \
    "$GAN_DIST" train "${train[@]}" --run "$run" --resume auto
# TERM comes from qdel, or at a limit that --walltime should not have let come.
if [ "$ended" -eq 0 ] && again; then qsub -W "depend=afterany:$PBS_JOBID" launch/cluster/pbs.sh; fi
exit "$code"
