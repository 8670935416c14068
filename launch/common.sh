# shellcheck shell=bash
# What every script here begins with. Source it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export GAN_DIST="${GAN_DIST:-$root/.build/release/gan-dist}"
. "$root/launch/env"

# The sentence on standard error, the rest of the script not run. The code is one of sysexits.h.
fail() { # CODE SENTENCE
    echo "${0##*/}: $2" >&2
    exit "$1"
}

# Ends the script where the VALUE that was given for NAME is no whole number above 0.
whole() { # NAME VALUE
    case $2 in '' | 0* | *[!0-9]*) fail 64 "$1 is '$2'; it takes a whole number above 0" ;; esac
}

# A path as the caller means it, whose folder the script has left by its one `cd`.
of_caller() { # PATH
    case $1 in /*) echo "$1" ;; *) echo "${OLDPWD:-$PWD}/$1" ;; esac
}

# A heading between the parts of a long script's output.
say() { printf '\n== %s\n' "$*"; }

# Ends the script where this user cannot write in one of the folders, or in the one that each is to be made in.
writable() { # FOLDER…
    local folder
    for folder; do
        while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
        if [ ! -w "$folder" ]; then
            fail 73 "$(id -un) may not write in $(realpath "$folder"), which is $(stat --format=%U "$folder")'s: \
use a clone of your own, or have its owner give it to you with chown -R $(id -un)."
        fi
    done
}

has_instructions() { # FLAG…
    local flag
    for flag; do grep -qw "$flag" /proc/cpuinfo || return 1; done
}

# The vector instruction sets of this processor that there are kernels for, the best first, by the names that
# GAN_DIST_INSTRUCTIONS takes.
instruction_sets() {
    if has_instructions avx2 fma avx512f avx512bw avx512cd avx512dq avx512vl; then echo avx512; fi
    if has_instructions avx2 fma; then echo avx2; fi
    echo plain
}

# Holds oneDNN, PyTorch's own kernels and MKL to AVX2 where GAN_DIST_INSTRUCTIONS holds gan-dist to it.
same_instructions_for_peers() {
    if [ "${GAN_DIST_INSTRUCTIONS:-}" = avx2 ]; then
        export ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2
    fi
}

# The options of `swift build` and `swift test` for the program and for its tests. -enable-testing lets the unit tests
# reach what is internal; it changes no result (Tests/README.md).
# shellcheck disable=SC2034
release_options=(--configuration release -Xswiftc -enable-testing)
