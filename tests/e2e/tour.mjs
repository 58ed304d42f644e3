// The official TypeScript MCP client in front of a server that it starts itself: everything there is to
// see, once. Prints one line of JSON.

import { createRequire } from "node:module";

// The packages live under target/, where an import statement of this file would not find them.
const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const { Client } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

const [command, ...args] = process.argv.slice(2);
const client = new Client(
  { name: "postern-e2e", version: "1.0.0" },
  { versionNegotiation: { mode: { pin: "2026-07-28" } } },
);
await client.connect(new StdioClientTransport({ command, args, stderr: "ignore" }));
const { tools } = await client.listTools();
const echo = await client.callTool({ name: "echo", arguments: { message: "hello" } });
const impossible = { operation: "sqrt", operands: [-1] };
const refused = await client.callTool({ name: "calculate", arguments: impossible });
const info = await client.readResource({ uri: "mcp://server/info" });
const guide = await client.getPrompt({ name: "tool_usage_guide", arguments: { tool_name: "echo" } });
const told = {
  protocol_version: client.getNegotiatedProtocolVersion(),
  tools: tools.map((tool) => tool.name).sort(),
  echo: echo.structuredContent.echo,
  refused: refused.isError,
  info: JSON.parse(info.contents[0].text).name,
  guide: guide.messages[0].content.text,
};
await client.close();
process.stdout.write(`${JSON.stringify(told)}\n`);
