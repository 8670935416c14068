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

# The vector instruction sets of this processor that there is a build for, the best first, by the names that compilers
# know them by.
instruction_sets() {
    if has_instructions avx2 fma avx512f avx512bw avx512cd avx512dq avx512vl; then echo x86-64-v4; fi
    if has_instructions avx2 fma; then echo x86-64-v3; fi
    echo plain
}

# The options of `swift build` and `swift test` for the program and for its tests, one a line. -enable-testing lets the
# unit tests reach what is internal; it changes no result (Tests/README.md).
release_options() { # INSTRUCTION-SET
    printf '%s\n' --configuration release -Xswiftc -enable-testing
    if [ "$1" != plain ]; then printf '%s\n' -Xcc "-march=$1"; fi
}
