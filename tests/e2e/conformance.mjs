// The official conformance suite, against a server that wants headers which the suite cannot send.
//
// Both sets of requirements are run through a shim of ours that adds them and changes nothing else.
// Prints where the shim listens, reads one line of JSON, {"to": ADDRESS, "headers": {NAME: VALUE}},
// and prints whether each revision's required scenarios passed, and what became of every check:
// {REVISION: {"passed": BOOLEAN, "scenarios": {SCENARIO: [CHECK]}}}.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(
  new URL("../../target/e2e/node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url),
);
const REVISIONS = ["2025-11-25", "2026-07-28"];
// What time has made, what a server makes up, and, with an x, what a gateway adds and nobody judges.
const PASSING = [
  "date",
  "keep-alive",
  "mcp-session-id",
  "requestState",
  "sessionId",
  "sessionIdSent",
  "x-content-type-options",
  "x-correlation-id",
  "x-request-id",
];
const TIMEOUT_MS = 120_000;

setTimeout(() => fail(new Error(`not done after ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();
let address, added;
const shim = createServer(pass).listen(0, "127.0.0.1");
await once(shim, "listening");
const authority = `127.0.0.1:${shim.address().port}`;
process.stdout.write(`${JSON.stringify({ authority })}\n`);

// A parent that dies takes its end of the pipe with it: no orphan outlives its test.
const lines = createInterface({ input: process.stdin }).on("close", () => process.exit(0));
try {
  const task = JSON.parse((await once(lines, "line"))[0]);
  address = task.to.split(":");
  added = Object.entries(task.headers).flat();
  const results = {};
  // One after the other: scenarios that wait for events would disturb each other.
  for (const revision of REVISIONS) results[revision] = await run(revision);
  process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
} catch (error) {
  fail(error);
}

/** Everything as it came, in both directions, the moment it comes. */
function pass(incoming, answer) {
  const [host, port] = address;
  const { method, url: path, rawHeaders } = incoming;
  const outgoing = request({ host, port, method, path, headers: [...rawHeaders, ...added] });
  outgoing.on("response", (response) => {
    answer.writeHead(response.statusCode, response.statusMessage, response.rawHeaders);
    answer.flushHeaders();
    response.pipe(answer).on("close", () => response.destroy());
    response.on("error", () => answer.destroy());
  });
  outgoing.on("error", () => answer.destroy());
  // Hanging up is how a client cancels.
  answer.on("close", () => outgoing.destroy());
  incoming.pipe(outgoing);
}

async function run(revision) {
  const out = mkdtempSync(join(tmpdir(), "postern-conformance-"));
  try {
    const url = `http://${authority}/mcp`;
    const options = ["server", "--url", url, "--requirements", revision, "-o", out];
    let passed = false;
    const told = await new Promise((resolve) => {
      const heard = (error, stdout, stderr) => {
        passed = error === null; // the suite's own word, by its status
        resolve(stdout + stderr);
      };
      execFile(process.execPath, [CLI, ...options], { maxBuffer: Infinity }, heard);
    });
    const scenarios = readdirSync(out).sort();
    if (scenarios.length === 0) throw new Error(`nothing was run:\n${told}`);
    const found = scenarios.map((folder) => [nameOf(folder), checks(join(out, folder))]);
    return { passed, scenarios: Object.fromEntries(found) };
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** The folder is called server-NAME-TIME. */
function nameOf(folder) {
  return folder.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "");
}

/** Without where and when it was, and what says nothing of the server. */
function checks(folder) {
  const file = join(folder, "checks.json");
  // A scenario that broke has none.
  const told = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
  // Some things are numbered by the clock, and which of several streams is first is chance.
  const passes = (name, value) =>
    PASSING.includes(name) || value > 1e12 || (name === "id" && /^\d+\/\d+$/.test(value));
  const kept = (name, value) => (passes(name, value) ? undefined : value);
  return told.map(({ id, status, errorMessage, details }) => {
    const check = JSON.stringify({ id, status, errorMessage, details }, kept);
    return JSON.parse(check.replaceAll(authority, "AUTHORITY"));
  });
}

function fail(error) {
  console.error(error);
  process.exit(1);
}
