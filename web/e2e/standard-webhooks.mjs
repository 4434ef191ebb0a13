// A receiver of webhooks for the tests: it verifies what comes with the library of Standard Webhooks, and can be out of order
// for a while.
//
//   const inbox = await receiver();                     // a webhook is made for inbox.url, then:
//   inbox.secrets.push(secret);                         // during an overlap both are here
//   inbox.fail(true);                                   // 503 from now on; fail(410) answers that
//   inbox.requests[0] → { at, path, headers, body, verified, error? }
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const BODY_MOST = 1 << 20;

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_MOST) throw new Error("a body of more than a MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Why none of the secrets has signed it; nothing when one has. */
function unverified(secrets, body, headers) {
  let reason = "no secret is known yet";
  for (const secret of secrets) {
    try {
      new Webhook(secret).verify(body, headers);
      return undefined;
    } catch (error) {
      reason = error.message;
    }
  }
  return reason;
}

/** Starts one on a free port of 127.0.0.1, or on the given one, as after an outage. */
export async function receiver({ secret, port = 0 } = {}) {
  const secrets = secret ? [secret] : [];
  const requests = [];
  let failing = 0;
  const server = createServer(async (request, response) => {
    try {
      const body = await bodyOf(request);
      const error = unverified(secrets, body, request.headers);
      const seen = { at: Date.now(), path: request.url, headers: request.headers, body, verified: !error };
      requests.push(error ? { ...seen, error } : seen);
      if (failing) response.writeHead(failing).end("out of order");
      else response.writeHead(204).end();
    } catch (error) {
      response.writeHead(400).end(String(error.message));
    }
  });
  await new Promise((done, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", done);
  });
  const bound = server.address().port;
  return {
    url: `http://127.0.0.1:${bound}/hook`,
    port: bound,
    requests,
    secrets,
    fail: (on) => {
      failing = on === true ? 503 : Number(on);
    },
    close: () =>
      new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      }),
  };
}
