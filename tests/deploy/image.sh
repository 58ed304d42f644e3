#!/usr/bin/env bash
# image.sh DIRECTORY: proves of the programs in DIRECTORY what the images promise, without an engine: each is
# static, small, and does its work alone in an empty file system as nobody (65532). Needs root, for chroot.
set -euo pipefail

binaries=$1
most=$((25 * 1000 * 1000))
room=$(mktemp -d)
pids=()

finish() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$room"
}
trap finish EXIT

die() {
    printf 'image: %s\n' "$*" >&2
    [[ ! -s $room/log ]] || cat "$room/log" >&2
    exit 1
}

[[ $(id -u) == 0 ]] || die 'only root may change the root directory: run it as root'

# A command, not a function: what is started with & must be the program itself, to hear signals.
inside=(chroot --userspec=65532:65532 --groups=)

for name in postern mcp-backend; do
    size=$(stat -c %s "$binaries/$name")
    ((size < most)) || die "$name has $size bytes"
    if readelf -lW "$binaries/$name" | grep -q INTERP; then die "$name needs a loader"; fi
    mkdir "$room/$name"
    install -m 755 "$binaries/$name" "$room/$name/$name"
    chmod 755 "$room" "$room/$name"
    "${inside[@]}" "$room/$name" "/$name" --version >"$room/version" || die "$name does not start"
    printf 'image: %s, %s bytes, static\n' "$(<"$room/version")" "$size"
done

# Every engine puts this there.
mkdir "$room/postern/dev"
: >"$room/postern/dev/null"
# The image has the authorities of the system that it is built on, and nothing else of it.
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$room/postern/etc/ssl/certs/ca-certificates.crt"

# A free port is one that was just given and let go.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listen=$(free_port) admin=$(free_port) backend=$(free_port)
cat >"$room/postern/postern.yaml" <<EOF
listen: 127.0.0.1:$listen
tls: off
admin: {listen: 127.0.0.1:$admin}
resource: {url: http://127.0.0.1:$listen/mcp}
issuers: [{issuer: https://id.example, keys: {file: /keys.json}}]
upstream: {address: 127.0.0.1:$backend}
EOF
# RFC 7517 appendix A.1's public key on P-256.
cat >"$room/postern/keys.json" <<'EOF'
{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256",
  "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}
EOF
"${inside[@]}" "$room/postern" /postern validate --config /postern.yaml >"$room/log" 2>&1 || die 'its configuration is refused'
"${inside[@]}" "$room/postern" /postern run --config /postern.yaml >"$room/log" 2>&1 &
pids+=($!)
"${inside[@]}" "$room/postern" /postern healthcheck --config /postern.yaml --within 10 || die 'it is not healthy'
challenge=$(curl --silent --include --request POST "http://127.0.0.1:$listen/mcp")
[[ $challenge == 'HTTP/1.1 401'*'resource_metadata='* ]] || die "it answers: $challenge"

mkfifo "$room/said"
"${inside[@]}" "$room/mcp-backend" /mcp-backend --listen "127.0.0.1:$backend" >"$room/said" 2>>"$room/log" &
pids+=($!)
exec 3<"$room/said"
read -r -t 10 said <&3 || die 'it does not say that it listens'
[[ $said == 'listening on '* ]] || die "it says: $said"
hello='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"image","version":"1"}}}'
coproc STDIO { "${inside[@]}" "$room/mcp-backend" /mcp-backend 2>>"$room/log"; }
stdio=$STDIO_PID stdin=${STDIO[1]} answer=
printf '%s\n' "$hello" >&"$stdin"
read -r -t 10 answer <&"${STDIO[0]}" || true
[[ $answer == *'"serverInfo"'* ]] || die "on standard input it answers: $answer"
exec {stdin}>&-
wait "$stdio" || die "on standard input it ended with $?"

for pid in "${pids[@]}"; do kill -TERM "$pid"; done
for pid in "${pids[@]}"; do wait "$pid" || die "it ended with $?"; done
pids=()
echo 'image: both do their work alone, as nobody, in an empty file system, and end when they are told'
