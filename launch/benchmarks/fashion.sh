# shellcheck shell=bash
# What the benchmarks that train on Fashion-MNIST share. Source it after launch/common.sh.

# The images, the test images and the classifier of FOLDER/data, made where they are missing.
fashion_mnist() { # FOLDER
    images=$1/data/fashion-mnist.h5 test_images=$1/data/fashion-mnist-test.h5 classifier=$1/data/classifier.h5
    mkdir -p "$1/data"
    [ -e "$images" ] || "$GAN_DIST" data import fashion-mnist --out "$images" >&2
    [ -e "$test_images" ] || "$GAN_DIST" data import fashion-mnist --part test --out "$test_images" >&2
    [ -e "$classifier" ] ||
        mpirun -n 2 "$GAN_DIST" classifier train --data "$images" --held-out "$test_images" --out "$classifier" >&2
}

# How many steps SECONDS hold on two ranks, as `seconds SECONDS` and `ROW STEPS` lines in FOLDER/steps: medians of
# `bench step` in rounds that alternate, so that what else the machine does while the runs train changes nothing. The
# rows' configurations are FOLDER/ROW.yaml with the options that `settings ROW` puts in the array `options`.
measured_steps() { # FOLDER SECONDS ROW…
    local folder=$1 seconds=$2 round row
    shift 2
    if [ -e "$folder/steps" ]; then
        if ! grep -qx "seconds $seconds" "$folder/steps"; then
            fail 73 "$folder holds runs of another length ($(head -n 1 "$folder/steps")): name another folder"
        fi
        return
    fi
    for round in 1 2 3 4 5; do
        echo "round $round of 5, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
        for row; do
            settings "$row"
            mpirun -n 2 "$GAN_DIST" bench step --config "$folder/$row.yaml" "${options[@]}" --steps 30 --no-layers \
                --json >"$folder/$row-bench-$round.json"
        done
    done
    python3 -B - "$folder" "$seconds" "$@" >"$folder/steps.new" <<'END'
import json
import statistics
import sys

folder, seconds, *rows = sys.argv[1:]
print("seconds", seconds)
for row in rows:
    times = [json.load(open(f"{folder}/{row}-bench-{round}.json"))["seconds_step_median"] for round in range(1, 6)]
    print(row, int(float(seconds) / statistics.median(times)))
END
    mv "$folder/steps.new" "$folder/steps"
}

# Trains RUN on two ranks and measures its newest checkpoint into RUN/measures.json; does nothing where that is there.
# A run that was stopped on the way is not measured: the exit status is then the program's.
measured_run() { # RUN CONFIGURATION SEED OPTION…
    local run=$1 configuration=$2 seed=$3
    shift 3
    if [ -e "$run/measures.json" ]; then return; fi
    mpirun -n 2 "$GAN_DIST" train --config "$configuration" --data "$images" --run "$run" --resume auto \
        --seed "$seed" --shards 2 "$@" >&2 || return
    mpirun -n 2 "$GAN_DIST" evaluate "$run" --held-out "$test_images" --classifier "$classifier" \
        --metrics frechet-classifier-distance,precision-recall --json >"$run/measures.new" || return
    mv "$run/measures.new" "$run/measures.json"
}

# A table of the rows' measures over the seeds.
table_of_measures() { # FOLDER HEADING ROWS SEED…
    PYTHONPATH=launch/benchmarks python3 -B - "$@" <<'END'
import json
import sys

from seeds import cell

folder, heading, rows, *seeds = sys.argv[1:]
print(f"| {heading} | seeds | Fréchet classifier distance | precision | recall |\n| --- | --- | --- | --- | --- |")
for row in rows.split():
    runs = [json.load(open(f"{folder}/{row}-{seed}/measures.json")) for seed in seeds]
    distance, precision, recall = ([run[name]["value"] for run in runs]
                                   for name in ("frechet-classifier-distance", "precision", "recall"))
    print(f"| {row} | {', '.join(seeds)} | {cell(distance, 1)} | {cell(precision, 3)} | {cell(recall, 3)} |")
END
}
