#!/usr/bin/env bash
# Everything that a client does, step by step: what the server wants, a token, which tools there are, a call.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

echo "1. Without a token $MCP_URL says where to get one:"
ask --request POST "$MCP_URL" --dump-header - --output /dev/null | grep -i '^www-authenticate:' ||
    die 'it says nothing: is it guarded at all?'
echo '2. There it says what is protected, and who gives tokens for it:'
resource_metadata | jq '{resource, authorization_servers, scopes_supported}'
echo '3. A token:'
ACCESS_TOKEN=${ACCESS_TOKEN:-$("$here/get_token.sh")}
export ACCESS_TOKEN
echo "   $(cut -c 1-20 <<<"$ACCESS_TOKEN")… ($((${#ACCESS_TOKEN})) characters)"
echo '4. With it, the tools:'
"$here/call_tool.sh" --list
echo '5. Who am I?'
"$here/call_tool.sh" whoami
