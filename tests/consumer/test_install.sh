#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into an empty place and builds a program against it, shared and static:
# test_install.sh BUILD_DIR CONSUMER_C CC
set -eu

build=$1
source=$2
cc=$3

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
DESTDIR=$stage "${MESON:-meson}" install -C "$build" --no-rebuild --quiet

pc=$(find "$stage" -name clattn.pc)
test -n "$pc" || { echo "clattn.pc is not installed"; exit 1; }
# The prefix of the build lies inside the stage; system packages keep theirs.
prefix=$(sed -n 's/^prefix=//p' "$pc")
flags() {
    PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --define-variable=prefix="$stage$prefix" "$@" clattn
}

libdir=$(flags --variable=libdir)
# shellcheck disable=SC2046
$cc -std=c11 -Wall -Wextra -Werror "$source" $(flags --cflags --libs) -lm -o "$stage/shared"
LD_LIBRARY_PATH=$libdir "$stage/shared"
echo "shared: ok"

# shellcheck disable=SC2046
$cc -std=c11 -Wall -Wextra -Werror "$source" $(flags --cflags) "$libdir/libclattn.a" \
    $(flags --static --libs | sed 's/-lclattn//') -lm -o "$stage/static"
"$stage/static"
echo "static: ok"
