"""Both sides of a WebSocket by Python's usual library; each says in a JSON line what it saw.

`serve` answers each message with its length and the handshake's headers. `call` sends one large message and
a ping, and closes.
"""

import argparse
import json
import socket
import ssl
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

TIMEOUT_SECONDS = 20
LARGE = "x" * 500_000


def answer(connection: ServerConnection) -> None:
    for message in connection:
        headers = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        connection.send(json.dumps({"length": len(message), "headers": headers}))
        connection.send(message)


def serve_for_ever() -> None:
    with serve(answer, "127.0.0.1", 0, subprotocols=["mcp"]) as server:
        print(json.dumps({"port": server.socket.getsockname()[1]}), flush=True)
        server.serve_forever()


def call(port: int, ca: str, token: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with connect(
            "wss://mcp.example/mcp",
            sock=socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS),
            ssl=ssl.create_default_context(cafile=ca),
            additional_headers=headers,
            subprotocols=["mcp"],
            open_timeout=TIMEOUT_SECONDS,
            proxy=None,
        ) as connection:
            connection.send(LARGE)
            told = json.loads(connection.recv(TIMEOUT_SECONDS))
            told["echoed"] = connection.recv(TIMEOUT_SECONDS) == LARGE
            told["ponged"] = connection.ping().wait(TIMEOUT_SECONDS)
            told["subprotocol"] = connection.subprotocol
            connection.close()
            told["closed"] = connection.close_code
            return told
    except InvalidStatus as refused:
        challenge = refused.response.headers.get("WWW-Authenticate")
        return {"status": refused.response.status_code, "challenge": challenge}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["serve", "call"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--ca", help="PEM file, the only authority that is trusted")
    parser.add_argument("--token", default="")
    arguments = parser.parse_args()
    if arguments.mode == "serve":
        serve_for_ever()
    print(json.dumps(call(arguments.port, arguments.ca, arguments.token)))


sys.exit(main())
