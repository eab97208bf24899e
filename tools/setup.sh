# SPDX-License-Identifier: Apache-2.0
# Shared by quickstart.sh and test.sh, to be sourced by sh: installs what is missing by apt, and
# finds a meson that is new enough. Says nothing when there is nothing to do.

MESON_WANTED=1.0.0

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

available() { apt-cache show "$1" 2>/dev/null | grep -q '^Package:'; }

# Runs a command as root, without a question. Its output is shown only when it fails.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        set -- env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null 2>&1; then
        set -- sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    else
        say "this needs root, and sudo is not installed" >&2
        return 1
    fi
    root_log=$(mktemp)
    if "$@" >"$root_log" 2>&1 </dev/null; then
        rm -f "$root_log"
        return 0
    fi
    tail -n 20 "$root_log" >&2
    rm -f "$root_log"
    return 1
}

apt_get() { as_root apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }

# The package lists are fetched once, and only when something has to be installed.
lists=old
apt_update() {
    if [ "$lists" = old ]; then
        if apt_get update; then lists=fresh; else lists=unreachable; fi
    fi
    [ "$lists" = fresh ]
}

# require PACKAGE...: installs those that are missing; ends the script when that fails.
require() {
    missing=
    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "install these first, apt-get is not here to do it:$missing"
    say "Installing:$missing"
    # shellcheck disable=SC2086 # a list of words
    if ! { apt_update && apt_get install -y --no-install-recommends $missing; }; then
        die "could not install these. As root: apt-get install$missing"
    fi
}

# wish PACKAGE[|PACKAGE...] WHAT: installs the first package of the list that this system offers.
# When there is none, says what will be left out, and goes on.
wish() {
    for package in $(printf '%s' "$1" | tr '|' ' '); do
        installed "$package" && return 0
    done
    if command -v apt-get >/dev/null 2>&1 && apt_update; then
        for package in $(printf '%s' "$1" | tr '|' ' '); do
            available "$package" || continue
            say "Installing: $package"
            apt_get install -y --no-install-recommends "$package" && return 0
        done
    fi
    say "Not available here: $1. Left out: $2."
}

# fetch_arm64 FOLDER PACKAGE...: unpacks packages of 64-bit ARM into FOLDER, for what is compiled
# for it here. The system's own list of architectures stays as it is.
fetch_arm64() {
    arm64=$1
    shift
    if [ -d "$arm64" ] || ! installed gcc-aarch64-linux-gnu; then
        return 0
    fi
    say "Fetching, into ${arm64##*/}/: $*"
    parts=$(mktemp -d)
    mkdir -p "$parts/lists/partial" "$parts/archives/partial" "$parts/root"
    : >"$parts/status"
    arm64_apt() {
        apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$parts" \
            -o Dir::State::status="$parts/status" -o Dir::Cache="$parts" -o APT::Sandbox::User= \
            -o Acquire::Retries=3 "$@"
    }
    if (cd "$parts" && arm64_apt update && arm64_apt download "$@") >"$parts/log" 2>&1; then
        for package in "$parts"/*.deb; do
            dpkg-deb -x "$package" "$parts/root"
        done
        mv "$parts/root" "$arm64"
    else
        say "Not available here: these packages of 64-bit ARM. Left out: tests on 64-bit ARM."
    fi
    rm -rf "$parts"
}

# Sets MESON to a meson of at least MESON_WANTED. Ubuntu 22.04 has an older one: then a private
# copy goes to the folder $1.
find_meson() {
    MESON=$(command -v meson || true)
    if [ -n "$MESON" ] && new_enough "$("$MESON" --version)"; then
        return 0
    fi
    MESON=$1/bin/meson
    [ -x "$MESON" ] && return 0
    require python3-venv
    say "Installing: meson $MESON_WANTED or later, in $1"
    if ! { python3 -m venv "$1" && "$1/bin/pip" -q install "meson>=$MESON_WANTED" >&2; }; then
        die "meson $MESON_WANTED or later is needed, and could not be installed"
    fi
}

new_enough() {
    [ "$(printf '%s\n%s\n' "$MESON_WANTED" "$1" | sort -V | head -n 1)" = "$MESON_WANTED" ]
}

setup_build() {
    require gcc libc6-dev meson ninja-build pkg-config python3 \
        ocl-icd-opencl-dev opencl-headers pocl-opencl-icd libjansson-dev
    wish libsqlite3-dev 'tuning results kept from run to run'
    wish libmd-dev 'compiled OpenCL programs kept from run to run'
    wish libutf8proc-dev 'whole models: generate, fill, embed, heads, heatmap'
    wish libpng-dev 'heatmaps as PNG'
    find_meson "$root/build-meson"
}

setup_test() {
    require g++ check libsubunit-dev
    wish chromium 'heatmap pages in a browser'
    wish oclgrind 'the race and bounds checks under oclgrind'
    wish mesa-opencl-icd 'tests on rusticl'
    wish gcc-aarch64-linux-gnu 'tests on 64-bit ARM'
    wish libc6-dev-arm64-cross 'tests on 64-bit ARM'
    wish 'qemu-user|qemu-user-static' 'tests on 64-bit ARM'
    fetch_arm64 "$root/build-arm64-libs" check libsubunit0 libsubunit-dev libjansson4 libjansson-dev
    wish intel-opencl-icd 'compile gates for Intel GPUs'
    wish 'clang-15|clang' 'kernel lint and compile gates for AMD GPUs'
    wish 'rocm-device-libs|rocm-device-libs-17' 'compile gates for AMD GPUs'
}

# configure FOLDER OPTION...: makes the build folder, or brings an existing one up to date.
configure() {
    folder=$1
    shift
    log=$(mktemp)
    done=no
    if [ ! -f "$folder/meson-private/coredata.dat" ]; then
        "$MESON" setup "$@" "$folder" "$root" >"$log" 2>&1 && done=yes
    elif "$MESON" setup --reconfigure "$@" "$folder" "$root" >"$log" 2>&1; then
        done=yes
    else
        # Made by another meson, for another compiler or another checkout: start it again.
        "$MESON" setup --wipe "$@" "$folder" "$root" >"$log" 2>&1 && done=yes
    fi
    [ "$done" = yes ] || { tail -n 30 "$log" >&2; rm -f "$log"; die "meson setup failed"; }
    rm -f "$log"
}

# compile FOLDER: builds; the output is shown only when it fails.
compile() {
    log=$(mktemp)
    ninja -C "$1" >"$log" 2>&1 ||
        { grep -v '^\[' "$log" | tail -n 60 >&2; rm -f "$log"; die "the build failed"; }
    rm -f "$log"
}
