"""Sends one JSON-RPC call of the 2026-07-28 era and prints the HTTP status that it got.

call.py URL CA TOKEN JSON
"""

import json
import ssl
import sys
import urllib.error
import urllib.request

url, ca, token, body = sys.argv[1:]
call = json.loads(body)
request = urllib.request.Request(
    url,
    data=body.encode(),
    headers={
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": call["method"],
        "Mcp-Name": call["params"]["name"],
    },
)
try:
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=ca)) as response:
        print(response.status)
except urllib.error.HTTPError as refused:
    print(refused.code)
except OSError as error:
    print(error)
