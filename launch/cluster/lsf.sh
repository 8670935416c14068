#!/bin/bash
# LSF. Submit from the repository: bsub < launch/cluster/lsf.sh
# Five minutes before the limit LSF sends USR2; exit code 75 puts the job into the queue again.
#
# NOTE: these lines are your site's and your run's.
#BSUB -J gan-dist
#BSUB -n 8
#BSUB -R "span[ptile=4]"
#BSUB -W 120
#BSUB -wa USR2
#BSUB -wt 5
#BSUB -Q "75"
#BSUB -r
#BSUB -o gan-dist-%J.out
train=(--preset dcgan-32 --data data/fashion-mnist.h5)
run=${RUN:-runs/dcgan-32}
# module load openmpi hdf5 openblas
set -euo pipefail
cd "$LS_SUBCWD"
. launch/common.sh
. launch/cluster/batch.sh

# Debian's Open MPI knows no LSF. LSB_MCPU_HOSTS is `host count host count …`.
hosts=$(awk '{for (i = 1; i < NF; i += 2) printf "%s%s:%s", (i > 1 ? "," : ""), $i, $(i + 1)}' <<<"$LSB_MCPU_HOSTS")
supervise mpirun --host "$hosts" "${bound[@]}" -x OPENBLAS_NUM_THREADS \
    "$GAN_DIST" train "${train[@]}" --run "$run" --resume auto
# LSF decides by the code alone: without progress, or after bkill (TERM), it gets another.
if [ "$ended" -eq 0 ] && again; then exit 75; fi
if [ "$code" -eq 75 ]; then exit 70; fi
exit "$code"
