// Web pages in a real browser, which hold our answers to the rules that pages live by.
//
// Prints where the pages are, one server under two names: {"page": ORIGIN, "stranger": ORIGIN}.
// Reads lines of JSON. The first says which browser, whose key it is to trust, and which address is
// meant by which name: {"chromium": PATH, "certificate": PEM, "hosts": {NAME: ADDRESS}}. Each of the
// others is a request that a page makes, {"origin": ORIGIN, "fetch": [URL, INIT]}, and is answered
// with what the page could read, {"status", "headers", "body"}, or with why not, {"error"}. Beside
// "stream": true the body comes as it comes: a line for each piece, and null at its end.

import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

// The packages live under target/, where an import statement of this file would not find them.
const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const { chromium } = require("playwright-core");

const TIMEOUT_MS = 60_000;
const QUIET = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];

setTimeout(() => process.exit(1), TIMEOUT_MS).unref();
const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>page</title>");
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address();
tell({ page: `http://127.0.0.1:${port}`, stranger: `http://localhost:${port}` });

const profile = mkdtempSync(join(tmpdir(), "postern-page-"));
let browser;
try {
  // Ends with the parent, which holds the other end of the pipe.
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (!first.done) {
    browser = await launch(JSON.parse(first.value));
    for await (const line of lines) await answer(JSON.parse(line));
  }
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser?.close();
  rmSync(profile, { recursive: true, force: true });
  process.exit();
}

/** A browser that trusts no authority more than usual, but this one key. */
function launch({ chromium: executablePath, certificate, hosts }) {
  const { publicKey } = new X509Certificate(readFileSync(certificate));
  const key = createHash("sha256").update(publicKey.export({ type: "spki", format: "der" }));
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const args = [
    ...QUIET,
    `--ignore-certificate-errors-spki-list=${key.digest("base64")}`,
    `--host-resolver-rules=${rules.join(", ")}`,
  ];
  return chromium.launchPersistentContext(profile, { executablePath, args, timeout: TIMEOUT_MS });
}

async function answer({ origin, fetch: request, stream = false }) {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  // The page itself is told nothing but that it failed.
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.exposeFunction("tell", tell);
  await page.goto(origin);
  try {
    await page.evaluate(read, [request, stream]);
  } catch (error) {
    tell({ error: [error.message, ...complaints].join("\n") });
  }
  await page.close();
}

/** Runs in the page. */
async function read([[url, init], stream]) {
  const response = await fetch(url, init);
  const head = { status: response.status, headers: Object.fromEntries(response.headers) };
  if (!stream) return void (await tell({ ...head, body: await response.text() }));
  await tell(head);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    await tell(done ? null : value);
    if (done) return;
  }
}

function tell(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
