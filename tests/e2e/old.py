"""The official Python MCP client as it was before 2026-07-28, with a token in its hand: with sessions,
or with the still older transport of two endpoints. Prints one line of JSON.
"""

import argparse
import json

import anyio
import httpx2
from mcp.client.session import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "token", "mode"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    headers = {"Authorization": f"Bearer {given.token}", "Host": "mcp.example"}
    steps: list[list[str | int | None]] = []

    async def note(response: httpx2.Response) -> None:
        held = response.request.headers.get("mcp-session-id")
        steps.append([response.request.method, response.status_code, held])

    if given.mode == "sse":
        async with sse_client(f"{given.url}/sse", headers=headers) as (read, write):
            told = await talk(read, write)
    else:
        http = httpx2.AsyncClient(
            headers=headers, event_hooks={"response": [note]}, timeout=20, trust_env=False
        )
        async with http, streamable_http_client(given.url, http_client=http) as streams:
            told = await talk(*streams[:2])
    print(json.dumps({**told, "steps": steps}))


async def talk(read, write) -> dict[str, str]:
    async with ClientSession(read, write) as session:
        begun = await session.initialize()
        answer = await session.call_tool("echo", {"message": "hello"})
        return {"protocol_version": begun.protocol_version, "echo": answer.content[0].text}


anyio.run(main)
