// The official TypeScript MCP client, sent to a protected server of which it knows only the URL.
//
// It finds its own way from the first 401 to a token, with a browser that is a cookie jar and a
// reader of forms, then calls two tools. Prints one line of JSON on success; otherwise says why on
// stderr.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import tls from "node:tls";
import { parseArgs } from "node:util";

// The packages live under target/, where an import statement of this file would not find them.
const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const mcp = require("@modelcontextprotocol/client");

const USER = "alice";
// Nothing listens there: the browser stops when it is sent to this address.
const CALLBACK = "http://127.0.0.1/callback";
const TIMEOUT_MS = 60_000;
const MODES = { legacy: "legacy", modern: { pin: "2026-07-28" } };

const steps = [];
let challenge = null;

setTimeout(() => fail(new Error(`not done after ${TIMEOUT_MS} ms`)), TIMEOUT_MS).unref();
try {
  process.stdout.write(`${JSON.stringify(await main())}\n`);
} catch (error) {
  fail(error);
}

async function main() {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      ca: { type: "string" },
      mode: { type: "string", default: "modern" },
      dpop: { type: "boolean", default: false },
    },
  });
  if (!values.url || !values.ca || !MODES[values.mode]) {
    throw new Error("usage: client.mjs --url URL --ca PEM --mode legacy|modern [--dpop]");
  }
  tls.setDefaultCACertificates([readFileSync(values.ca, "utf8")]);
  return visit(new URL(values.url), values.mode, values.dpop);
}

/** The whole dance; what came of it. */
async function visit(url, mode, dpop) {
  const account = memory();
  const session = dpop ? await mcp.DpopSession.create() : undefined;
  if (session) account.dpop = () => session;
  const { client, transport } = await connect(url, mode, account);
  const { tools } = await client.listTools();
  const again = () => answer(account, transport);
  const whoami = await call(client, "whoami", {}, again);
  const echo = await call(client, "echo", { message: "hello" }, again);
  const protocolVersion = client.getNegotiatedProtocolVersion();
  if (mode === "legacy") await transport.terminateSession();
  await client.close();
  return {
    client: "typescript",
    mode,
    protocol_version: protocolVersion,
    token_type: account.tokens().token_type,
    tools: tools.map((tool) => tool.name).sort(),
    whoami: whoami.structuredContent ?? null,
    echo: textOf(echo),
    steps,
    challenge,
  };
}

/** This client leaves the visit to the browser, and a second attempt, to its user. */
async function connect(url, mode, account) {
  const attempt = () => {
    const client = new mcp.Client(
      { name: "postern-e2e", version: "1.0.0" },
      { versionNegotiation: { mode: MODES[mode] } },
    );
    const transport = new mcp.StreamableHTTPClientTransport(url, {
      authProvider: account,
      fetch: journal,
    });
    return { client, transport, connected: client.connect(transport) };
  };

  const first = attempt();
  const refusal = await first.connected.then(
    () => null,
    (error) => error,
  );
  if (!(refusal instanceof mcp.UnauthorizedError)) {
    throw refusal ?? new Error("the server let a client in that has no token");
  }
  await answer(account, first.transport);

  const second = attempt();
  await second.connected;
  return second;
}

/** Goes where the client was sent, and gives it what came of that. */
async function answer(account, transport) {
  const answer = await browse(account.authorizationUrl);
  if (answer.get("state") !== account.state()) throw new Error("the state is not the one sent");
  await transport.finishAuth(answer);
}

/** A token store that starts empty, so that the client has to register and ask. */
function memory() {
  const state = randomUUID();
  let client, discovery, tokens, verifier;
  return {
    authorizationUrl: undefined,
    redirectUrl: CALLBACK,
    clientMetadata: {
      application_type: "native",
      client_name: "postern e2e (typescript)",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: [CALLBACK],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    state: () => state,
    clientInformation: () => client,
    saveClientInformation: (saved) => void (client = saved),
    tokens: () => tokens,
    saveTokens: (saved) => void (tokens = saved),
    codeVerifier: () => verifier,
    saveCodeVerifier: (saved) => void (verifier = saved),
    discoveryState: () => discovery,
    saveDiscoveryState: (saved) => void (discovery = saved),
    redirectToAuthorization(url) {
      this.authorizationUrl = url;
    },
  };
}

/** What the client sent and was told, in order; the browser's requests are not the client's. */
async function journal(input, init) {
  const response = await fetch(input, init);
  const method = init?.method ?? "GET";
  steps.push(`${method} ${new URL(input).pathname} ${response.status}`);
  if (response.status === 401) challenge ??= response.headers.get("www-authenticate");
  return response;
}

/** Follows redirects, signs in, consents to everything; the parameters the callback was given. */
async function browse(start) {
  const cookies = new Map();
  const load = async (url, init = {}) => {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const response = await fetch(url, { ...init, headers: { cookie }, redirect: "manual" });
    for (const header of response.headers.getSetCookie()) {
      const [, name, value] = header.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    return { url, response };
  };

  let page = await load(start);
  for (let hop = 0; hop < 20; hop += 1) {
    const location = page.response.headers.get("location");
    if (!location) {
      page = await load(...fillIn(page.url, await page.response.text()));
      continue;
    }
    const target = new URL(location, page.url);
    if (!target.href.startsWith(CALLBACK)) {
      page = await load(target);
    } else if (target.searchParams.has("code")) {
      return target.searchParams;
    } else {
      throw new Error(`the authorization server refused: ${target.searchParams}`);
    }
  }
  throw new Error(`the login led nowhere: still at ${page.url}`);
}

/** The form of a page, filled in by a person called alice, as the arguments of a request. */
function fillIn(url, html) {
  const form = html.match(/<form\b[^>]*>/);
  if (!form) throw new Error(`no form at ${url}: ${html.slice(0, 300)}`);
  const attribute = (tag, name) => tag.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];
  const body = new URLSearchParams();
  for (const [input] of html.matchAll(/<input\b[^>]*>/g)) {
    const typed = ["text", "password"].includes(attribute(input, "type"));
    body.set(attribute(input, "name"), typed ? USER : (attribute(input, "value") ?? ""));
  }
  return [new URL(attribute(form[0], "action"), url), { method: "POST", body }];
}

/** A tool that needs more than the token allows is called once more, when its user has agreed. */
async function call(client, name, args, again) {
  const attempt = () => client.callTool({ name, arguments: args });
  const result = await attempt().catch(async (error) => {
    if (!(error instanceof mcp.UnauthorizedError)) throw error;
    await again();
    return attempt();
  });
  if (result.isError) throw new Error(`${name} failed: ${textOf(result)}`);
  return result;
}

function textOf(result) {
  return result.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");
}

function fail(error) {
  const reasons = [];
  for (let cause = error; cause; cause = cause.cause)
    reasons.push(`${cause.name}: ${cause.message}`);
  console.error([...reasons, "after", ...steps.map((step) => `  ${step}`)].join("\n"));
  process.exit(1);
}
