"""The official Python MCP client with everything that a server offers: in front of one that it starts
itself, or with a token in its hand. Prints one line of JSON.

    tour.py [--mode MODE] [--act tour|progress|cancel] [--tool NAME] -- COMMAND ...
    tour.py [--mode MODE] [--act tour|progress|cancel] [--tool NAME] --url URL --token TOKEN --ca PEM

`cancel` gives the call up when a line arrives on stdin, or when the server asks a question in it.
"""

import argparse
import json
import ssl
import sys
import threading

import anyio
import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

TIMEOUT_SECONDS = 60


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "token", "ca", "tool"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--mode", default="legacy")
    parser.add_argument("--act", choices=ACTS, default="tour")
    parser.add_argument("command", nargs="*")
    given = parser.parse_args()
    act = ACTS[given.act]
    with anyio.fail_after(TIMEOUT_SECONDS):
        if not given.url:
            server = StdioServerParameters(command=given.command[0], args=given.command[1:])
            print(json.dumps(await act(stdio_client(server), given)))
            return
        http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {given.token}"},
            verify=ssl.create_default_context(cafile=given.ca),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        async with http:
            transport = streamable_http_client(given.url, http_client=http)
            print(json.dumps(await act(transport, given)))


async def tour(transport, given) -> dict[str, object]:
    async with Client(transport, mode=given.mode) as client:
        tools = await client.list_tools()
        echo = await client.call_tool("echo", {"message": "hello"})
        refused = await client.call_tool("calculate", {"operation": "sqrt", "operands": [-1]})
        info = await client.read_resource("mcp://server/info")
        guide = await client.get_prompt("tool_usage_guide", {"tool_name": "echo"})
        return {
            "protocol_version": client.protocol_version,
            "tools": sorted(tool.name for tool in tools.tools),
            "echo": (echo.structured_content or {}).get("echo"),
            "refused": refused.is_error,
            "info": json.loads(info.contents[0].text)["name"],
            "guide": guide.messages[0].content.text,
        }


async def progress(transport, given) -> dict[str, object]:
    told: list[list[float | None]] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        told.append([done, total])

    async with Client(transport, mode=given.mode) as client:
        result = await client.call_tool(given.tool, {}, progress_callback=note)
        return {"progress": told, "refused": result.is_error}


async def cancel(transport, given) -> dict[str, object]:
    begun = anyio.Event()

    async def ask(*_):
        begun.set()
        await anyio.sleep_forever()

    def listen() -> None:
        if sys.stdin.readline():
            anyio.from_thread.run_sync(begun.set, token=token)

    token = anyio.lowlevel.current_token()
    threading.Thread(target=listen, daemon=True).start()
    answered = False
    async with Client(transport, mode=given.mode, elicitation_callback=ask) as client:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                nonlocal answered
                await client.call_tool(given.tool, {})
                answered = True

            group.start_soon(call)
            await begun.wait()
            group.cancel_scope.cancel()
        tools = await client.list_tools()
    return {"answered": answered, "goes_on": len(tools.tools) > 0}


ACTS = {"tour": tour, "progress": progress, "cancel": cancel}

anyio.run(main)
