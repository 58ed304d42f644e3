// Web pages in a real browser, which hold our answers to the rules that pages live by.
//
// Prints where the pages are, one server under two names: {"page": ORIGIN, "stranger": ORIGIN}.
// Reads lines of JSON. The first says which browser, whose key it is to trust, and which address is
// meant by which name: {"chromium": PATH, "certificate": PEM, "hosts": {NAME: ADDRESS}}. Each of the
// others is a request that a page makes, {"origin": ORIGIN, "fetch": [URL, INIT]}, and is answered
// with what the page could read, {"status", "headers", "body"}, or with why not, {"error"}. Beside
// "stream": true the body comes as it comes: a line for each piece, and null at its end. To
// {"origin": ORIGIN, "visit": URL} the official client goes there by itself, in the page, with the
// login in a window of its own, and tells what came of it. To {"login": URL} a person logs in there and
// deals with the page at the end by keyboard; beside "pictures": DIRECTORY it is photographed, by day, by
// night and on a telephone.

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
const PACKAGES = new URL("../../target/e2e/node_modules/", import.meta.url);
// What a bundler would have put into the page.
const IMPORTS = {
  "@modelcontextprotocol/client": "/@modelcontextprotocol/client/dist/index.mjs",
  "@modelcontextprotocol/client/_shims": "/@modelcontextprotocol/client/dist/shimsBrowser.mjs",
  "@modelcontextprotocol/core/internal": "/@modelcontextprotocol/core/dist/internal.mjs",
  eventsource: "/eventsource/dist/index.js",
  "eventsource-parser": "/eventsource-parser/dist/index.js",
  "eventsource-parser/stream": "/eventsource-parser/dist/stream.js",
  jose: "/jose/dist/webapi/index.js",
  "pkce-challenge": "/pkce-challenge/dist/index.browser.js",
  "zod/v4": "/zod/v4/index.js",
};
const PAGES = {
  "/": `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`,
  "/callback": "<!doctype html><script>opener.postMessage(location.search, origin)</script>",
};

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://page");
  const type = pathname in PAGES ? "text/html" : "text/javascript";
  try {
    const content = PAGES[pathname] ?? readFileSync(new URL(`.${pathname}`, PACKAGES));
    response.writeHead(200, { "content-type": type }).end(content);
  } catch {
    response.writeHead(404).end();
  }
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address();
tell({ page: `http://127.0.0.1:${port}`, stranger: `http://localhost:${port}` });

const profile = mkdtempSync(join(tmpdir(), "postern-page-"));
process.on("exit", () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
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

async function answer({ origin, fetch: request, stream = false, visit, login, pictures }) {
  if (login) return tell(await logIn(login, pictures));
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  // The page itself is told nothing but that it failed.
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.exposeFunction("tell", tell);
  await page.goto(origin);
  try {
    page.on("popup", signIn);
    if (visit) await tell(await page.evaluate(dance, visit));
    else await page.evaluate(read, [request, stream]);
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

/** Runs in the page: the whole way from the URL to two tools, as in client.mjs. */
async function dance(url) {
  const mcp = await import("@modelcontextprotocol/client");
  const steps = [];
  let challenge = null;
  const journal = async (input, init) => {
    const step = `${init?.method ?? "GET"} ${new URL(input).pathname}`;
    const response = await fetch(input, init).catch((error) => {
      steps.push(`${step} ${error}`);
      throw error;
    });
    steps.push(`${step} ${response.status}`);
    if (response.status === 401) challenge ??= response.headers.get("www-authenticate");
    return response;
  };
  const kept = {};
  const callback = `${origin}/callback`;
  const account = {
    redirectUrl: callback,
    clientMetadata: {
      application_type: "native",
      client_name: "postern e2e (page)",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: [callback],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    clientInformation: () => kept.client,
    saveClientInformation: (saved) => void (kept.client = saved),
    tokens: () => kept.tokens,
    saveTokens: (saved) => void (kept.tokens = saved),
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (saved) => void (kept.verifier = saved),
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (saved) => void (kept.discovery = saved),
    redirectToAuthorization: (login) => {
      kept.answer = new Promise((resolve) => {
        window.addEventListener("message", ({ data }) => resolve(data), { once: true });
      });
      window.open(login);
    },
  };
  const attempt = () => {
    const options = { versionNegotiation: { mode: { pin: "2026-07-28" } } };
    const client = new mcp.Client({ name: "postern-e2e", version: "1.0.0" }, options);
    const given = { authProvider: account, fetch: journal };
    const transport = new mcp.StreamableHTTPClientTransport(new URL(url), given);
    return { client, transport, connected: client.connect(transport) };
  };
  const first = attempt();
  const refusal = await first.connected.catch((error) => error);
  if (!(refusal instanceof mcp.UnauthorizedError)) throw refusal ?? new Error("it was let in");
  await first.transport.finishAuth(new URLSearchParams(await kept.answer));
  const second = attempt();
  await second.connected;
  const whoami = await second.client.callTool({ name: "whoami", arguments: {} });
  const echo = await second.client.callTool({ name: "echo", arguments: { message: "hello" } });
  return { whoami: whoami.structuredContent, echo: echo.structuredContent, steps, challenge };
}

/** A person who gets a token, copies it, and leaves the page to itself. */
async function logIn(url, pictures) {
  const { origin } = new URL(url);
  await browser.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const complaints = [];
  // Of what our own pages do; that some are refusals is no complaint.
  page.on("console", (message) => {
    const ours = message.location().url.startsWith(origin);
    if (ours && !message.text().startsWith("Failed to load")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.clock.install();
  await page.goto(url);
  await signIn(page);
  await page.locator("#left").getByText("5 minutes").waitFor();
  if (pictures) await photograph(page, pictures);
  const address = page.url();
  const title = await page.title();
  const masked = await page.locator("#access.masked").count();
  // The button has the focus already.
  await page.keyboard.press("Enter");
  await page.locator("#said").getByText("Copied.").waitFor();
  const token = await page.evaluate(() => navigator.clipboard.readText());
  const steps = [];
  for (let step = 0; step < 6; step += 1) {
    await page.keyboard.press("Tab");
    steps.push(await page.evaluate(() => document.activeElement.textContent.trim()));
    if (steps.at(-1) === "Show" || steps.at(-1) === "Refresh token") await page.keyboard.press("Enter");
  }
  const shown = await page.locator("#access:not(.masked)").count();
  const holds = async () => (await page.content()).includes(token) ||
    (await page.evaluate(() => [...document.querySelectorAll("input")].some((one) => one.value)));
  const before = await holds();
  await page.clock.runFor("05:01");
  const after = await holds();
  const said = await page.locator("[data-after]").innerText();
  if (pictures) await page.screenshot({ path: join(pictures, "forgotten.png") });
  // Once more, and away: the issuer still knows them.
  await page.goto(url);
  await page.locator("#access").waitFor();
  await page.goto("about:blank");
  await page.goBack();
  const back = { status: await page.title(), holds: await holds() };
  if (pictures) await page.screenshot({ path: join(pictures, "back.png") });
  await page.close();
  return { address, title, masked, token, steps, shown, before, after, said, back, complaints };
}

async function photograph(page, directory) {
  for (const [name, colorScheme, width, height] of [
    ["light", "light", 1000, 760],
    ["dark", "dark", 1000, 760],
    ["phone", "light", 360, 740],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
  }
}

/** A person in the window that opened. */
async function signIn(popup) {
  await popup.waitForLoadState();
  while (new URL(popup.url()).pathname !== "/callback") {
    for (const input of await popup.locator("input[type=text], input[type=password]").all()) {
      await input.fill("alice");
    }
    await Promise.all([popup.waitForNavigation(), popup.locator("[type=submit]").click()]);
  }
}

function tell(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
