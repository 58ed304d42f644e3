// The authorization server of the end-to-end tests: the certified `oidc-provider` library. Ours is
// only its configuration, and an admin listener with which a test turns its keys under the gateway.

import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

// The library prints notices; stdout belongs to the one line that the parent waits for.
globalThis.console = new console.Console(process.stderr);

// The packages live under target/, where an import statement of this file would not find them.
const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const { Provider, errors } = require("oidc-provider");
const jose = require("jose");
const { createMemoryAdapter } = require("oidc-provider/lib/adapters/memory_adapter.js");

const { values: options } = parseArgs({
  options: {
    resource: { type: "string", multiple: true, default: [] },
    scopes: { type: "string", default: "mcp:read mcp:write" },
    // Registers nobody, and knows nothing of `resource` unless it has been told of one.
    closed: { type: "boolean", default: false },
    // Registers only those who show it.
    token: { type: "string" },
    // For https: its own certificate, and who signs those of its clients.
    certificate: { type: "string" },
    key: { type: "string" },
    clients: { type: "string" },
  },
});
const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const elliptic = (namedCurve) => () => generateKeyPairSync("ec", { namedCurve });
const edwards = () => generateKeyPairSync("ed25519");
const algorithms = {
  RS256: rsa,
  PS256: rsa,
  ES256: elliptic("P-256"),
  ES384: elliptic("P-384"),
  EdDSA: edwards,
  Ed25519: edwards,
};
const secure = options.certificate !== undefined;

const machine = {
  client_id: "e2e-machine",
  client_secret: randomBytes(32).toString("hex"),
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
};
// Gets no tokens: it only asks what they are worth.
const gateway = {
  client_id: "e2e-gateway",
  client_secret: randomBytes(32).toString("base64"), // with characters that must be encoded
  grant_types: [],
  redirect_uris: [],
  response_types: [],
};
// Shows a certificate instead of knowing a secret, and its tokens are bound to that (RFC 8705).
const certified = {
  client_id: "e2e-certified",
  token_endpoint_auth_method: "tls_client_auth",
  tls_client_auth_san_dns: "client.example",
  tls_client_certificate_bound_access_tokens: true,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
};
// Gets tokens for tokens (RFC 8693), which the library knows how to learn.
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const exchanger = {
  client_id: "e2e-exchanger",
  client_secret: randomBytes(32).toString("base64"),
  grant_types: [EXCHANGE],
  redirect_uris: [],
  response_types: [],
};
// The gateway, where it stands in for us: people are sent back to it, and it knows who sent them.
const facade = {
  client_id: "e2e-facade",
  client_secret: randomBytes(32).toString("base64"),
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: options.resource.map((url) => new URL("/oauth/callback", url).href),
  response_types: ["code"],
};
const cookieKey = randomBytes(32).toString("hex");
const storage = createMemoryAdapter();
const resources = new Set(options.resource);
const exchangeable = new Set(); // by jti
const seen = { jwks_fetched: 0, tokens_issued: 0, errors: [] };
let format = "jwt";
let keys = [newKey("RS256")]; // the first one signs, all of them are published

const front = secure ? https.createServer(transport()) : http.createServer();
const authorization = await listen(front, (request, response) => {
  if (request.url === "/jwks") seen.jwks_fetched += 1;
  // The library lets pages do everything else.
  if (request.url === "/reg") {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "content-type");
    if (request.method === "OPTIONS") return response.writeHead(204).end();
  }
  respond(request, response);
});
const issuer = `${secure ? "https" : "http"}://127.0.0.1:${authorization.port}`;
let respond = currentProvider();

const admin = await listen(http.createServer(), (request, response) => {
  const { pathname, searchParams } = new URL(request.url, issuer);
  const action = actions[`${request.method} ${pathname}`];
  let status = 404;
  let answer = { error: `no ${request.method} ${pathname}`, actions: Object.keys(actions) };
  if (action) {
    try {
      action(searchParams);
      status = 200;
      answer = state();
    } catch (error) {
      status = 400;
      answer = { error: error.message };
    }
  }
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
});

// A parent that dies takes its end of the pipe with it: no orphan outlives its test.
process.stdin
  .on("end", () => process.exit(0))
  .on("error", () => process.exit(0))
  .resume();

const { client_id, client_secret } = machine;
const ready = {
  issuer,
  admin: `http://127.0.0.1:${admin.port}`,
  client_id,
  client_secret,
  gateway_id: gateway.client_id,
  gateway_secret: gateway.client_secret,
  exchanger_id: exchanger.client_id,
  exchanger_secret: exchanger.client_secret,
  facade_id: facade.client_id,
  facade_secret: facade.client_secret,
};
process.stdout.write(`${JSON.stringify(ready)}\n`);

// The actions of the admin listener: each changes something, then `state` is the answer.
const actions = {
  "GET /state": () => {},
  "POST /resource": (query) => resources.add(required(query, "url")),
  "POST /format": (query) => {
    format = required(query, "format");
  },
  "POST /rotate": () => publish([newKey(keys[0].alg), ...keys]),
  "POST /rotate-hard": () => publish([newKey(keys[0].alg)]),
  "POST /drop-old": () => publish([keys[0]]),
  "POST /withdraw": (query) => {
    exchangeable.clear();
    if (query.get("for") === "ever") exchangeable.add = () => exchangeable;
  },
  "POST /alg": (query) => publish([newKey(required(query, "alg")), ...keys]),
};

function state() {
  const [{ alg, kid }] = keys;
  const published = keys.map((key) => key.kid);
  return { issuer, alg, signing_kid: kid, published, resources: [...resources], ...seen };
}

function required(query, name) {
  const value = query.get(name);
  if (!value) throw new Error(`?${name}= is missing`);
  return value;
}

// A provider reads its keys once, so new keys take a new provider. It continues with the same
// storage and cookie key: clients, logins and refresh tokens live on.
function publish(newKeys) {
  keys = newKeys;
  respond = currentProvider();
}

function currentProvider() {
  const [{ alg, kid }] = keys;
  const scopes = options.scopes.split(" ");
  const provider = new Provider(issuer, {
    adapter,
    clientAuthMethods: [
      "client_secret_basic",
      "client_secret_post",
      "none",
      ...(secure ? ["tls_client_auth"] : []),
    ],
    clientBasedCORS: () => true,
    clientDefaults: { id_token_signed_response_alg: alg },
    clients: [machine, gateway, exchanger, facade, ...(secure ? [certified] : [])].map((client) => ({
      ...client,
      id_token_signed_response_alg: alg,
    })),
    cookies: { keys: [cookieKey] },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(algorithms) },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true }, // two plain forms, login and consent
      introspection: { enabled: true },
      ...(secure && { mTLS: mutualTls() }),
      registration: { enabled: !options.closed, initialAccessToken: options.token ?? false },
      registrationManagement: { enabled: !options.closed },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_context, resource) {
          if (!resources.has(resource)) throw new errors.InvalidTarget(`unknown: ${resource}`);
          return {
            accessTokenFormat: format,
            audience: resource,
            jwt: { sign: { alg, kid } },
            scope: options.scopes,
          };
        },
        useGrantedResource: () => true,
      },
      revocation: { enabled: true },
    },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    // Not every client asks for offline_access, and all of them should be able to refresh.
    issueRefreshToken: (_context, client) => client.grantTypeAllowed("refresh_token"),
    jwks: { keys },
    pkce: { required: (_context, client) => client.grantTypeAllowed("authorization_code") },
    scopes: ["openid", "offline_access", ...scopes],
    ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 3600, Session: 3600 },
  });
  provider.registerGrantType(
    EXCHANGE,
    exchange,
    ["subject_token", "subject_token_type", "requested_token_type", "resource", "scope"],
  );
  count(provider);
  return provider.callback();
}

/** Another token for whoever this one is about; whether it is one of ours, jose finds out. */
async function exchange(context) {
  const { client, params, provider } = context.oidc;
  const secret = new Set(["d", "p", "q", "dp", "dq", "qi"]);
  const published = keys.map((key) =>
    Object.fromEntries(Object.entries(key).filter(([name]) => !secret.has(name))),
  );
  const verify = jose.jwtVerify(params.subject_token, jose.createLocalJWKSet({ keys: published }), {
    issuer,
    audience: options.resource,
  });
  const { payload } = await verify.catch((error) => {
    throw new errors.InvalidGrant(`subject_token: ${error.message}`);
  });
  if (!exchangeable.has(payload.jti)) throw new errors.InvalidGrant("subject_token: withdrawn");
  if (!resources.has(params.resource)) throw new errors.InvalidTarget(params.resource);
  const token = new provider.AccessToken({ accountId: payload.sub, client, gty: "exchange" });
  token.resourceServer = new provider.ResourceServer(params.resource, {
    accessTokenFormat: "jwt",
    audience: params.resource,
    jwt: { sign: { alg: keys[0].alg, kid: keys[0].kid } },
    scope: options.scopes,
  });
  context.body = {
    access_token: await token.save(),
    issued_token_type: params.requested_token_type,
    token_type: token.tokenType,
    expires_in: token.expiration,
  };
}

// Whether a certificate is any good is for the library to ask.
function transport() {
  const [cert, key, ca] = [options.certificate, options.key, options.clients].map((path) =>
    readFileSync(path),
  );
  return { cert, key, ca, requestCert: true, rejectUnauthorized: false };
}

function mutualTls() {
  const shown = ({ req }) => req.socket.getPeerX509Certificate();
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    getCertificate: shown,
    certificateAuthorized: ({ req }) => req.socket.authorized,
    certificateSubjectMatches: (context, property, expected) =>
      property === "tls_client_auth_san_dns" && shown(context).checkHost(expected) === expected,
  };
}

function adapter(model) {
  const stored = storage(model);
  if (model === "Client") {
    const upsert = stored.upsert.bind(stored);
    stored.upsert = (id, client, ...rest) => {
      // A registered scope would forbid the client ever to ask for more, and a registered
      // algorithm would make it invalid once that algorithm's key has gone.
      const { scope, id_token_signed_response_alg, ...unpinned } = client;
      return upsert(id, unpinned, ...rest);
    };
  }
  return stored;
}

function count(provider) {
  for (const event of ["access_token.issued", "client_credentials.issued"]) {
    provider.on(event, (token) => {
      exchangeable.add(token.jti);
      seen.tokens_issued += 1;
    });
  }
  const stages = ["authorization", "grant", "registration_create", "jwks", "discovery"];
  for (const stage of [...stages, "introspection", "revocation"]) {
    provider.on(`${stage}.error`, (_context, error) => noteError(stage, error));
  }
  provider.on("server_error", (_context, error) => noteError("server", error));
}

function noteError(stage, error) {
  const { message, error_description, error_detail } = error;
  const note = `${stage}: ${[message, error_description, error_detail].filter(Boolean).join("; ")}`;
  seen.errors.push(note);
  console.error(note);
}

// A key id names one key for ever: verifiers cache by it, across runs that reuse a port.
function newKey(alg) {
  const generate = algorithms[alg];
  if (!generate) throw new Error(`alg is none of ${Object.keys(algorithms)}: ${alg}`);
  const jwk = generate().privateKey.export({ format: "jwk" });
  return { ...jwk, alg, kid: `${alg}-${randomUUID()}`, use: "sig" };
}

async function listen(server, handler) {
  server.on("request", handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address();
}
