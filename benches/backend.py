"""What a call of a tool costs mcp-backend, beside the same tool on the official Python SDK's server
(once FastMCP), and how long mcp-backend takes from its start to its first answer on stdio.

    tests/e2e/prepare.sh && . target/e2e/env && "$PYTHON" benches/backend.py target/release/mcp-backend

Both serve MCP 2026-07-28 in plain JSON, one connection each, in turns, so that a machine that is busy
with something else is so for both. CPU time is the server's, user and system, by /proc.
"""

import http.client
import json
import os
import subprocess
import sys
import time

ROUNDS, CALLS, WARM = 5, 400, 100
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
SERVER = """
import asyncio, json, socket, uvicorn
from mcp.server import MCPServer
server = MCPServer("bench", log_level="ERROR")

@server.tool()
def echo(message: str) -> dict[str, str]:
    return {"original": message, "echo": message}

app = server.streamable_http_app(json_response=True, stateless_http=True)
listener = socket.create_server(("127.0.0.1", 0))
print("listening on %s:%d" % listener.getsockname(), flush=True)
asyncio.run(uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(sockets=[listener]))
"""


def call(name: str, arguments: dict) -> str:
    params = {"name": name, "arguments": arguments, "_meta": MODERN}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


class Server:
    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline().decode()
        host, port = line.removeprefix("listening on ").strip().rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port))
        self.spent: list[float] = []

    def cpu(self) -> float:
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def calls(self, count: int) -> None:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "echo",
            "X-Postern-Subject": "ada",
            "X-Postern-Issuer": "https://id.example",
            "X-Postern-Scopes": "mcp:read",
        }
        body = call("echo", {"message": "hello"})
        for _ in range(count):
            self.connection.request("POST", "/mcp", body, headers)
            answer = json.loads(self.connection.getresponse().read())
            assert answer["result"]["structuredContent"]["echo"] == "hello", answer

    def measure(self) -> None:
        before = self.cpu()
        self.calls(CALLS)
        self.spent.append((self.cpu() - before) / CALLS * 1e6)

    def median(self) -> float:
        return sorted(self.spent)[len(self.spent) // 2]


def start_up(program: str) -> float:
    """Milliseconds from the start of the process to the answer to its first request."""
    began = time.perf_counter()
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdin.write(call("ping", {}).encode() + b"\n")
        process.stdin.flush()
        assert b"pong" in process.stdout.readline()
        took = time.perf_counter() - began
        process.stdin.close()
    return took * 1e3


def main() -> None:
    program = sys.argv[1]
    starts = sorted(start_up(program) for _ in range(20))
    servers = [Server(program, "--listen", "127.0.0.1:0"), Server(sys.executable, "-c", SERVER)]
    try:
        for server in servers:
            server.calls(WARM)
        for _ in range(ROUNDS):
            for server in servers:
                server.measure()
        ours, theirs = (server.median() for server in servers)
    finally:
        for server in servers:
            server.process.kill()
    print(f"start to first answer on stdio: {starts[10]:.1f} ms (median of 20), {starts[-1]:.1f} ms at most")
    print(f"tools/call, CPU: mcp-backend {ours:.0f} µs, Python SDK {theirs:.0f} µs: {theirs / ours:.1f} times")


main()
