#!/usr/bin/env bash
# Whether the server at MCP_URL is guarded as it should be: needs ACCESS_TOKEN, or what get_token.sh needs.
set -uo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ACCESS_TOKEN=${ACCESS_TOKEN:-$("$here/get_token.sh")} || exit 1
export ACCESS_TOKEN
failed=0

# is WHAT EXPECTED FOUND
is() {
    if [[ $2 == "$3" ]]; then
        echo "ok      $1"
    else
        echo "NOT OK  $1: $3 instead of $2"
        failed=1
    fi
}

status() { ask --request POST "$MCP_URL" --data '{}' --output /dev/null --write-out '%{http_code}' "$@"; }

is 'metadata needs no token' "$MCP_URL" "$(resource_metadata | jq -r .resource)"
is 'no token' 401 "$(status)"
is 'a token that is none' 401 "$(status --header 'Authorization: Bearer not-a-token')"
is 'another scheme' 401 "$(status --header 'Authorization: Basic YTpi')"
is 'a token in the query' 401 \
    "$(MCP_URL="$MCP_URL?access_token=$ACCESS_TOKEN" && status)"
spoilt=${ACCESS_TOKEN%.*}.$(rev <<<"${ACCESS_TOKEN##*.}")
is 'a signature that is spoilt' 401 "$(status --header "Authorization: Bearer $spoilt")"
unsigned="$(printf '{"alg":"none","typ":"at+jwt"}' | base64 -w 0 | tr -d '=' | tr '+/' '-_').$(cut -d . -f 2 <<<"$ACCESS_TOKEN")."
is 'a token without a signature' 401 "$(status --header "Authorization: Bearer $unsigned")"
if "$here/call_tool.sh" --list >/dev/null; then answer=yes; else answer=no; fi
is 'a good token' yes "$answer"
exit "$failed"
