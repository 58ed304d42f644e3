#!/usr/bin/env bash
# The realm, the settings and the shell client of deploy/, with a real Keycloak: `make test-keycloak`.
#   keycloak.sh [DIRECTORY]     where postern and mcp-backend are (default: target/debug)
#
# Keycloak is the one that compose.yaml names; it comes by Maven into target/keycloak, and needs Java 17 or newer.
# Needs what tests/e2e/prepare.sh brings, curl and jq.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/keycloak
# Of the zip: with another version in compose.yaml goes another sum here.
sha256=e63bd0167199c0092b8a4d22cc137e6b7a70e0089070f6f7799b1be504b69a8a

main() {
    local binaries version home zip
    binaries=$(cd "${1:-$root/target/debug}" && pwd)
    version=$(sed -n 's#^ *image: keycloak/keycloak:##p' "$root/deploy/compose/compose.yaml")
    home=$out/keycloak-$version
    zip=keycloak-quarkus-dist-$version.zip
    mkdir -p "$out"
    # It has one data directory, and so one run at a time.
    exec 9>"$out/lock"
    if command -v flock >/dev/null; then flock 9; fi
    command -v java >/dev/null || die 'Java 17 or newer is missing: install it (on Debian: default-jre-headless)'
    if [[ ! -f $home/whole ]]; then bring; fi
    # shellcheck source=/dev/null
    source "$root/target/e2e/env"
    # Not exec: the lock is kept until it ends, and not by what it starts.
    PATH=$root/target/deploy/bin:$PATH "$PYTHON" "$here/keycloak.py" "$root" "$home" "$binaries" 9>&-
}

bring() {
    command -v mvn >/dev/null || die 'Maven is missing: install it (on Debian: maven)'
    if [[ ! -f $out/$zip ]]; then
        say "fetching Keycloak $version with Maven"
        mvn --quiet --batch-mode dependency:copy "-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:zip" \
            "-DoutputDirectory=$out" >&2 || die "cannot fetch Keycloak $version: is a Maven repository within reach?"
    fi
    sha256sum --check --quiet - <<<"$sha256  $out/$zip" >&2 ||
        die "$out/$zip is not what it was: remove it, or put the sum of this version into $0"
    rm -rf "$home"
    python3 -m zipfile -e "$out/$zip" "$out"
    chmod +x "$home/bin/kc.sh"
    touch "$home/whole"
}

say() { printf 'keycloak: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

main "$@"
