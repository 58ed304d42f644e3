#!/usr/bin/env bash
# Prints an access token for the MCP server at MCP_URL, by client credentials: for programs, not for people.
#   CLIENT_ID, CLIENT_SECRET or CLIENT_SECRET_FILE   who asks (default: what deploy/compose has)
#   SCOPE                                            default: what the server's metadata asks for
#   ISSUER                                           default: the server's first authorization server
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

metadata=$(resource_metadata)
issuer=${ISSUER:-$(jq -er '.authorization_servers[0]' <<<"$metadata")}
scope=${SCOPE-$(jq -r '.scopes_supported // [] | join(" ")' <<<"$metadata")}
resource=$(jq -er .resource <<<"$metadata")
id=${CLIENT_ID:-mcp-machine}
secret=${CLIENT_SECRET:-}
if [[ -z $secret ]]; then
    file=${CLIENT_SECRET_FILE:-$compose/mcp_machine_secret}
    [[ -r $file ]] || die "set CLIENT_SECRET or CLIENT_SECRET_FILE"
    secret=$(<"$file")
fi

# OpenID Connect's address first, which most have, then OAuth's own (RFC 8414).
discover() {
    local origin path
    origin=$(sed -E 's#^(https?://[^/]+).*#\1#' <<<"$issuer")
    path=${issuer#"$origin"}
    ask --fail "${issuer%/}/.well-known/openid-configuration" 2>/dev/null ||
        ask --fail "$origin/.well-known/oauth-authorization-server${path%/}" ||
        die "$issuer has no metadata"
}
endpoint=$(discover | jq -er .token_endpoint) || die "$issuer names no token endpoint"

# The secret goes in by standard input: arguments can be seen by everybody on the machine.
answer=$(printf '%s' "$secret" | ask "$endpoint" \
    --data-urlencode grant_type=client_credentials \
    --data-urlencode "client_id=$id" \
    --data-urlencode client_secret@- \
    --data-urlencode "resource=$resource" \
    ${scope:+--data-urlencode "scope=$scope"})
jq -er '.access_token // empty' <<<"$answer" ||
    die "no token: $(jq -r '[.error, .error_description] | join(": ")' <<<"$answer" 2>/dev/null || printf '%s' "$answer")"
