// The official TypeScript MCP client with everything that a server offers: in front of one that it starts
// itself, or with a token in its hand. Prints one line of JSON.
//
//   tour.mjs [--mode MODE] [--act tour|progress|cancel] [--tool NAME] -- COMMAND ...
//   tour.mjs [--mode MODE] [--act tour|progress|cancel] [--tool NAME] --url URL --token TOKEN --ca PEM
//
// `cancel` gives the call up when a line arrives on stdin, or when the server asks a question in it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import tls from "node:tls";
import { parseArgs } from "node:util";

// The packages live under target/, where an import statement of this file would not find them.
const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

const acts = { tour, progress, cancel };
const option = { type: "string" };
const { values: given, positionals } = parseArgs({
  options: {
    url: option,
    token: option,
    ca: option,
    tool: option,
    mode: { ...option, default: "2026-07-28" },
    act: { ...option, default: "tour" },
  },
  allowPositionals: true,
});
if (given.ca) tls.setDefaultCACertificates([readFileSync(given.ca, "utf8")]);
const client = new Client(
  { name: "postern-e2e", version: "1.0.0" },
  {
    capabilities: { elicitation: {} },
    versionNegotiation: { mode: given.mode === "legacy" ? "legacy" : { pin: given.mode } },
  },
);
const giveUp = new AbortController();
if (given.act === "cancel") {
  client.setRequestHandler("elicitation/create", () => {
    giveUp.abort();
    return new Promise(() => {});
  });
  process.stdin.once("data", () => giveUp.abort());
}
await client.connect(transport());
const told = await acts[given.act]();
await client.close();
process.stdout.write(`${JSON.stringify(told)}\n`);
process.stdin.destroy();

function transport() {
  if (!given.url) {
    const [command, ...args] = positionals;
    return new StdioClientTransport({ command, args, stderr: "ignore" });
  }
  const headers = { Authorization: `Bearer ${given.token}` };
  return new StreamableHTTPClientTransport(new URL(given.url), { requestInit: { headers } });
}

async function tour() {
  const { tools } = await client.listTools();
  const echo = await client.callTool({ name: "echo", arguments: { message: "hello" } });
  const impossible = { operation: "sqrt", operands: [-1] };
  const refused = await client.callTool({ name: "calculate", arguments: impossible });
  const info = await client.readResource({ uri: "mcp://server/info" });
  const guide = { name: "tool_usage_guide", arguments: { tool_name: "echo" } };
  const { messages } = await client.getPrompt(guide);
  return {
    protocol_version: client.getNegotiatedProtocolVersion(),
    tools: tools.map((tool) => tool.name).sort(),
    echo: echo.structuredContent?.echo,
    refused: refused.isError,
    info: JSON.parse(info.contents[0].text).name,
    guide: messages[0].content.text,
  };
}

async function progress() {
  const told = [];
  const onprogress = ({ progress, total }) => told.push([progress, total]);
  const result = await client.callTool({ name: given.tool, arguments: {} }, { onprogress });
  return { progress: told, refused: result.isError ?? false };
}

async function cancel() {
  const call = client.callTool({ name: given.tool, arguments: {} }, { signal: giveUp.signal });
  const answered = await call.then(
    () => true,
    (error) => {
      if (!giveUp.signal.aborted) throw error;
      return false;
    },
  );
  const { tools } = await client.listTools();
  return { answered, goes_on: tools.length > 0 };
}
