# Sourced by the scripts beside it: where things are, and how to fail.
# shellcheck shell=bash

: "${MCP_URL:=https://localhost:8443/mcp}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
compose=$here/../compose/secrets
if [[ -z ${CA_FILE:-} && -r $compose/ca.crt ]]; then CA_FILE=$compose/ca.crt; fi

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

for program in curl jq; do
    command -v "$program" >/dev/null || die "$program is missing: install it"
done

# curl that says why, trusts CA_FILE, and shows no progress. There is no way to turn checks off.
ask() {
    curl --silent --show-error --max-time 30 ${CA_FILE:+--cacert "$CA_FILE"} "$@"
}

# The metadata of the MCP server (RFC 9728), which needs no token.
resource_metadata() {
    local origin path
    origin=$(sed -E 's#^(https?://[^/]+).*#\1#' <<<"$MCP_URL")
    path=${MCP_URL#"$origin"}
    ask --fail "$origin/.well-known/oauth-protected-resource$path" ||
        die "no metadata at $origin: is $MCP_URL the address that the gateway's resource.url says?"
}
