# Where things are, and how scripts speak. Sourced by every script; leaves the working directory at the repository's root.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# The one target of tests and checks; .cargo/config.toml makes it the default.
TARGET=x86_64-unknown-linux-musl
BIN="$PWD/.run/bin"
STAMPS="$PWD/.run/stamps"
IMAGES="$PWD/.run/images"
RUST_BIN="$PWD/target/$TARGET/debug"
export TARGET BIN STAMPS IMAGES RUST_BIN
export PATH="$BIN:$RUST_BIN:$PATH"
export DROVER_CLUSTER_STATE="${DROVER_CLUSTER_STATE:-$PWD/.run/cluster}"
mkdir -p "$BIN" "$STAMPS" "$IMAGES"

# Says what is being done.
step() {
    printf '\n==> %s\n' "$*" >&2
}

# Says in one line what is missing and what to do, and ends.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Whether the files beneath the given paths are what they were when `stamp NAME` was last called.
# usage: fresh NAME PATH...
fresh() {
    local name=$1
    shift
    digest "$@" >"$STAMPS/$name.now"
    cmp --silent "$STAMPS/$name.now" "$STAMPS/$name"
}

# Takes note of the files that `fresh NAME` looked at.
stamp() {
    mv "$STAMPS/$1.now" "$STAMPS/$1"
}

digest() {
    find "$@" -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null sha256sum
}
