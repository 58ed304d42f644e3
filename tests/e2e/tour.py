"""The official Python MCP client in front of a server that it starts itself: everything there is to see,
once. Prints one line of JSON.
"""

import json
import sys

import anyio
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main() -> None:
    server = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        begun = await session.initialize()
        tools = await session.list_tools()
        echo = await session.call_tool("echo", {"message": "hello"})
        refused = await session.call_tool("calculate", {"operation": "sqrt", "operands": [-1]})
        info = await session.read_resource("mcp://server/info")
        guide = await session.get_prompt("tool_usage_guide", {"tool_name": "echo"})
        told = {
            "protocol_version": begun.protocol_version,
            "tools": sorted(tool.name for tool in tools.tools),
            "echo": echo.structured_content["echo"],
            "refused": refused.is_error,
            "info": json.loads(info.contents[0].text)["name"],
            "guide": guide.messages[0].content.text,
        }
    print(json.dumps(told))


anyio.run(main)
