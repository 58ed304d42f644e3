// An authorization server from before RFC 9068: npm's `oauth2-mock-server` writes `typ: JWT` into its
// access tokens as into its ID tokens, takes the audience from the form, and names nobody. Ours is only
// that a client_id in the form is named in the token.

import { createRequire } from "node:module";

// The packages live under target/, where an import statement of this file would not find them.
const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const { OAuth2Server } = require("oauth2-mock-server");

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
server.service.on("beforeTokenSigning", (token, request) => {
  if (request.body.client_id) token.payload.client_id = request.body.client_id;
});
await server.start(0, "127.0.0.1");

// A parent that dies takes its end of the pipe with it: no orphan outlives its test.
process.stdin
  .on("end", () => process.exit(0))
  .on("error", () => process.exit(0))
  .resume();

const address = `127.0.0.1:${server.address().port}`;
process.stdout.write(`${JSON.stringify({ issuer: server.issuer.url, address })}\n`);
