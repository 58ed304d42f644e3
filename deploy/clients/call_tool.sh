#!/usr/bin/env bash
# call_tool.sh TOOL [ARGUMENTS]: calls a tool of the MCP server at MCP_URL with ACCESS_TOKEN, and prints what it
# says. ARGUMENTS is a JSON object. call_tool.sh --list tells which tools there are.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ $# -ge 1 ]] || die 'call_tool.sh TOOL [ARGUMENTS], or call_tool.sh --list'
[[ -n ${ACCESS_TOKEN:-} ]] || die "set ACCESS_TOKEN: export ACCESS_TOKEN=\"\$($here/get_token.sh)\""
if [[ $1 == --list ]]; then method=tools/list; else method=tools/call; fi
arguments=${2:-\{\}}
jq -e 'type == "object"' <<<"$arguments" >/dev/null 2>&1 || die "not a JSON object: $arguments"

# MCP 2026-07-28 needs no session: one request is all. Headers say what the body says.
version=2026-07-28
body=$(jq -n --arg method "$method" --arg tool "$1" --argjson arguments "$arguments" --arg version "$version" '
    {jsonrpc: "2.0", id: 1, method: $method, params: {_meta: {
        "io.modelcontextprotocol/protocolVersion": $version,
        "io.modelcontextprotocol/clientInfo": {name: "call_tool.sh", version: "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}}}
    | if $method == "tools/call" then .params += {name: $tool, arguments: $arguments} else . end')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
headers=(--header "MCP-Protocol-Version: $version" --header "Mcp-Method: $method")
if [[ $method == tools/call ]]; then headers+=(--header "Mcp-Name: $1"); fi
# The token goes in by a file that only we can read: arguments can be seen by everybody on the machine.
(umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$ACCESS_TOKEN" >"$work/token")
status=$(ask "$MCP_URL" --config "$work/token" --data-binary @- <<<"$body" \
    --header 'Content-Type: application/json' --header 'Accept: application/json, text/event-stream' \
    "${headers[@]}" --dump-header "$work/head" --output "$work/answer" --write-out '%{http_code}')

if [[ $status != 200 ]]; then
    grep -i '^www-authenticate:' "$work/head" >&2 || true
    die "$status: $(<"$work/answer")"
fi
# One message, as it is or as an event.
message=$(sed -n 's/^data: *//p' "$work/answer" | tail -n 1)
[[ -n $message ]] || message=$(<"$work/answer")
if jq -e 'has("error") or .result.isError == true' <<<"$message" >/dev/null; then
    die "$(jq -c '.error // .result.content' <<<"$message")"
fi
if [[ $method == tools/list ]]; then
    jq -r '.result.tools[] | "\(.name)\t\(.description // "")"' <<<"$message"
else
    jq -r '.result | .structuredContent // ([.content[]? | .text // tojson] | join("\n"))' <<<"$message"
fi
