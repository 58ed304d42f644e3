"""A server of MCP as it was before 2026-07-28, made with the official SDK: sessions at /mcp, and the
still older transport of two endpoints at /mcp/sse. Prints its address, and a line for each session id
that it is asked for.
"""

import asyncio
import json
import socket

import uvicorn
from mcp.server import MCPServer
from starlette.applications import Starlette

server = MCPServer("stateful", log_level="ERROR")


@server.tool()
def echo(message: str) -> str:
    return message


class Journal:
    """Tells which sessions the server is asked for."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            ids = [value.decode() for name, value in scope["headers"] if name == b"mcp-session-id"]
            print(json.dumps({"method": scope["method"], "session": ids}), flush=True)
        await self.app(scope, receive, send)


async def main() -> None:
    modern = server.streamable_http_app()
    older = server.sse_app(sse_path="/mcp/sse", message_path="/mcp/messages/")
    app = Starlette(
        routes=[*older.routes, *modern.routes], lifespan=lambda _: server.session_manager.run()
    )
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    print(json.dumps({"address": f"{host}:{port}"}), flush=True)
    config = uvicorn.Config(Journal(app), log_level="error", timeout_graceful_shutdown=1)
    await uvicorn.Server(config).serve(sockets=[listener])


asyncio.run(main())
