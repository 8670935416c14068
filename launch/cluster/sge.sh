#!/bin/bash
# Grid Engine. Submit from the repository: qsub launch/cluster/sge.sh
# -notify sends USR2 before the limit's KILL; exit code 99 puts the job into the queue again.
#
# NOTE: these lines are your site's and your run's.
#$ -N gan-dist
#$ -pe ompi 8
#$ -l h_rt=02:00:00
#$ -cwd
#$ -j y
#$ -r y
#$ -notify
train=(--preset dcgan-32 --data data/fashion-mnist.h5)
run=${RUN:-runs/dcgan-32}
# module load openmpi hdf5 openblas
set -euo pipefail
cd "$SGE_O_WORKDIR"
. launch/common.sh
. launch/cluster/batch.sh

supervise mpirun -n "$NSLOTS" "${bound[@]}" -x OPENBLAS_NUM_THREADS \
    "$GAN_DIST" train "${train[@]}" --run "$run" --resume auto
if again; then exit 99; fi
exit "$code"
