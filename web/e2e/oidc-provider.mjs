// A provider of OpenID Connect for the tests: a certified implementation over TLS, with accounts that the tests choose.
//
//   node web/e2e/oidc-provider.mjs REDIRECT_URI...
//
// Prints one line of JSON (issuer, client, certificate), then serves until it is stopped. Whoever gives a name at its
// sign-in page is that person. `PUT /test/accounts/NAME` with claims as JSON says who they are; `PUT /test/next` with
// {"login": NAME} signs the next visitor in as NAME, {"deny": true} turns them away.
import { execFileSync } from "node:child_process";
import { randomBytes, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Provider from "oidc-provider";

const folder = mkdtempSync(join(tmpdir(), "cb-oidc-"));
const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
execFileSync(
  "openssl",
  [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-keyout", keyFile, "-out", certFile, "-subj", "/CN=127.0.0.1"],
    ...["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"],
  ],
  { stdio: "ignore" },
);
const [key, cert] = [readFileSync(keyFile, "utf8"), readFileSync(certFile, "utf8")];
rmSync(folder, { recursive: true });

const accounts = new Map();
let next = null;

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

const server = createServer({ key, cert });
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `https://127.0.0.1:${server.address().port}`;
const client = {
  client_id: "circuit-breaker",
  client_secret: randomBytes(24).toString("base64url"),
  redirect_uris: process.argv.slice(2),
  response_types: ["code"],
  grant_types: ["authorization_code"],
};
const provider = new Provider(issuer, {
  clients: [client],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
  // Off is what most providers do: claims of a scope stand in the ID token as well.
  conformIdTokenClaims: process.env.USERINFO_ONLY === "1",
  cookies: { keys: [randomBytes(24).toString("hex")] },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: false } },
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts.get(id) }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // The tests are not about consent.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});
const others = provider.callback();

server.on("request", async (request, response) => {
  const path = new URL(request.url, issuer).pathname;
  if (path === "/test/next" && request.method === "PUT") {
    next = JSON.parse(await bodyOf(request));
    return response.writeHead(204).end();
  }
  if (path.startsWith("/test/accounts/") && request.method === "PUT") {
    accounts.set(decodeURIComponent(path.slice("/test/accounts/".length)), JSON.parse(await bodyOf(request)));
    return response.writeHead(204).end();
  }
  if (!path.startsWith("/interaction/")) return others(request, response);
  const given = request.method === "POST" ? new URLSearchParams(await bodyOf(request)).get("login") : null;
  const chosen = given ? { login: given } : next;
  if (chosen) {
    next = null;
    const result = chosen.deny
      ? { error: "access_denied", error_description: "not today" }
      : { login: { accountId: chosen.login, remember: false } };
    return provider.interactionFinished(request, response, result);
  }
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(`<!doctype html><html lang="en"><title>Test provider</title><link rel="icon" href="data:,"><h1>Test provider</h1>
    <form method="post"><label>Name <input name="login" autofocus></label> <button>Sign in</button></form></html>`);
});

console.log(
  JSON.stringify({
    issuer,
    client_id: client.client_id,
    client_secret: client.client_secret,
    certificate: cert,
    certificate_sha256: new X509Certificate(cert).fingerprint256,
  }),
);
