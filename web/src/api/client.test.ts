import { waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  ApiError,
  doubtSession,
  http,
  onSessionAlive,
  onSessionEnd,
  reach,
  setCsrfToken,
  signOut,
  take,
} from "./client";
import { answerProof, isProofAsked, watchProof } from "./proof";

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  const send = vi.fn(
    async (_request: Request, _init?: RequestInit) =>
      new Response(status === 204 ? null : JSON.stringify(body), {
        status,
        headers: { "Content-Type": "application/problem+json", ...headers },
      }),
  );
  vi.stubGlobal("fetch", send);
  return send;
}
afterEach(async () => {
  // The doubt of a test ends within it.
  answer(200, {});
  await reach.doubt();
  vi.unstubAllGlobals();
  setCsrfToken("");
  onSessionEnd(() => {});
  onSessionAlive(() => {});
});

describe("client", () => {
  it("sends the CSRF token and a JSON type with writes only", async () => {
    setCsrfToken("secret-token");
    const send = answer(200, { id: "x" });
    await http.GET("/api/v1/settings");
    await http.POST("/api/v1/findings/{id}/ignore", { params: { path: { id: "f" } } });
    const [read, write] = send.mock.calls.map(([request]) => request);
    expect(read?.headers.get("X-CSRF-Token")).toBeNull();
    expect(write?.headers.get("X-CSRF-Token")).toBe("secret-token");
    expect(write?.headers.get("Content-Type")).toBe("application/json");
  });

  it("turns problem+json into an error with fields, request id and the wait", async () => {
    answer(429, {
      title: "Too many",
      status: 429,
      detail: "Slow down.",
      request_id: "r1",
      errors: [{ field: "name", reason: "taken" }],
    });
    const error = await take(http.GET("/api/v1/settings")).catch((e) => e);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      message: "Slow down.",
      status: 429,
      requestId: "r1",
      fields: { name: "taken" },
    });
  });

  it("survives an error page that is not JSON", async () => {
    answer(500, "<html>", { "Content-Type": "text/html" });
    await expect(take(http.GET("/api/v1/settings"))).rejects.toMatchObject({
      status: 500,
      message: "HTTP 500",
    });
  });

  it.each([
    ["a proxy that has no server behind it", () => answer(502, "<html>", { "Content-Type": "text/html" })],
    [
      "nobody",
      () =>
        vi.stubGlobal(
          "fetch",
          vi.fn(() => Promise.reject(new TypeError("refused"))),
        ),
    ],
  ])("says of a read that %s answers that the server cannot be reached", async (_who, nobody) => {
    nobody();
    await expect(take(http.GET("/api/v1/settings"))).rejects.toMatchObject({
      status: 0,
      message:
        "The server cannot be reached. Check that it is running and that this device is on its network.",
    });
    await waitFor(() => expect(reach.awaySince()).not.toBeNull());
  });

  it("sends no change while the server is away, so that it can say that nothing was saved", async () => {
    const send = vi.fn((_to: Request | string) => Promise.reject(new TypeError("refused")));
    vi.stubGlobal("fetch", send);
    const body = { name: "Lab", cidr: "10.0.0.0/24" };
    // The first one may have gone out: nobody knows.
    await expect(take(http.POST("/api/v1/networks", { body }))).rejects.toThrow(
      "may or may not have been saved",
    );
    await waitFor(() => expect(reach.awaySince()).not.toBeNull());
    send.mockClear();
    await expect(take(http.POST("/api/v1/networks", { body }))).rejects.toThrow(
      "Your changes were not saved",
    );
    expect(send.mock.calls.map(([to]) => to)).toEqual(["/api/v1/health"]);
  });

  it("sends the change when the server is back by then", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("refused")));
    await expect(reach.doubt()).resolves.toBe(false);
    answer(200, { id: "n" });
    await take(http.POST("/api/v1/networks", { body: { name: "Lab", cidr: "10.0.0.0/24" } }));
    expect(reach.awaySince()).toBeNull();
  });

  it("calls no refusal an outage", async () => {
    for (const status of [401, 403, 404, 421, 500, 503]) {
      answer(status, { detail: "no" });
      await http.GET("/api/v1/settings").catch(() => {});
    }
    await doubtSession();
    expect(reach.awaySince()).toBeNull();
  });

  it("tells the router when the session is gone, but leaves the 401 of the forms that sign in to them", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    answer(401, { detail: "no" });
    await http.POST("/api/v1/auth/login", { body: { username: "a", password: "b" } }).catch(() => {});
    await http.POST("/api/v1/auth/mfa", { body: { mfa_token: "t", code: "1" } }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(ended).not.toHaveBeenCalled();
    await http.GET("/api/v1/settings").catch(() => {});
    await waitFor(() => expect(ended).toHaveBeenCalledWith("unauthenticated"));
    expect(ended).toHaveBeenCalledOnce();
  });

  it("says in words that the server cannot be reached", async () => {
    vi.stubGlobal(
      "fetch",
      vi.fn(async () => Promise.reject(new TypeError("Failed to fetch"))),
    );
    await expect(take(http.GET("/api/v1/settings"))).rejects.toMatchObject({
      status: 0,
      message: expect.stringContaining("cannot be reached"),
    });
  });
});

type Reply = { status: number; body?: unknown };
/** A server of which each path has a row of answers; the last one stays. */
function server(replies: Record<string, (Reply | Promise<Reply>)[]>) {
  const seen: { line: string; csrf: string | null; body: string }[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const line = `${request.method} ${new URL(request.url).pathname.replace("/api/v1", "")}`;
    seen.push({ line, csrf: request.headers.get("X-CSRF-Token"), body: await request.text() });
    const row = replies[line] ?? [];
    const reply = await (row.length > 1 ? row.shift() : row[0]);
    if (!reply) throw new Error(`no answer for ${line}`);
    return new Response(reply.status === 204 ? null : JSON.stringify(reply.body ?? {}), {
      status: reply.status,
      headers: { "Content-Type": "application/json" },
    });
  });
  return seen;
}
const me = { user: { id: "u" }, csrf_token: "new", permissions: [] };
const proofRequired = { status: 403, body: { type: "/problems/proof_required", detail: "POST /auth/proof" } };
const invite = () => http.POST("/api/v1/invites", { body: { role: "viewer" } });

describe("a session in doubt", () => {
  it("goes on when the server still knows it, with the new CSRF token", async () => {
    const [ended, alive] = [vi.fn(), vi.fn()];
    onSessionEnd(ended);
    onSessionAlive(alive);
    const seen = server({ "GET /auth/me": [{ status: 200, body: me }], "POST /invites": [{ status: 201 }] });
    expect(await doubtSession()).toBe("alive");
    expect(alive).toHaveBeenCalledWith(me);
    expect(ended).not.toHaveBeenCalled();
    await invite();
    expect(seen.at(-1)?.csrf).toBe("new");
  });

  it("is judged only when the answer that brings the new id is here", async () => {
    let arrive: (reply: Reply) => void = () => {};
    const late = new Promise<Reply>((resolve) => {
      arrive = resolve;
    });
    const seen = server({ "POST /auth/password": [late], "GET /auth/me": [{ status: 200, body: me }] });
    const change = http.POST("/api/v1/auth/password", {
      body: { current_password: "a", new_password: "b" },
    });
    await waitFor(() => expect(seen).toHaveLength(1));
    const verdict = doubtSession();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen.map((one) => one.line)).toEqual(["POST /auth/password"]);
    arrive({ status: 200, body: me });
    await change;
    expect(await verdict).toBe("alive");
  });

  it("is looked at twice: another tab's new cookie may be on its way", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    server({ "GET /auth/me": [{ status: 401 }, { status: 200, body: me }] });
    expect(await doubtSession()).toBe("alive");
    expect(ended).not.toHaveBeenCalled();
  });

  it("has ended when the server says so, and everybody who doubts asks once", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    const seen = server({ "GET /auth/me": [{ status: 401 }] });
    expect(await Promise.all([doubtSession(), doubtSession()])).toEqual(["ended", "ended"]);
    expect(ended).toHaveBeenCalledOnce();
    expect(seen).toHaveLength(2);
  });

  it("stays in doubt when the server cannot be reached", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    server({});
    expect(await doubtSession()).toBe("unknown");
    expect(ended).not.toHaveBeenCalled();
  });
});

describe("signing out", () => {
  it("sends nothing more that its pages ask for, and lets the page that signs in read", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    let arrive: (reply: Reply) => void = () => {};
    const late = new Promise<Reply>((resolve) => {
      arrive = resolve;
    });
    const seen = server({
      "POST /auth/logout": [late],
      "GET /setup": [{ status: 200 }],
      "GET /auth/me": [{ status: 401 }],
      "GET /settings": [{ status: 401 }],
    });
    const refused: unknown[] = [];
    const ask = () => take(http.GET("/api/v1/settings")).catch((error) => refused.push(error));
    const asked: Promise<unknown>[] = [];
    let pages = true;
    const out = signOut(async () => {
      asked.push(ask());
      await http.GET("/api/v1/setup");
      expect(refused).toEqual([]);
      pages = false;
    });
    await waitFor(() => expect(seen).toHaveLength(1));
    asked.push(ask());
    // Its streams are closed before its answer is here.
    const verdict = doubtSession();
    arrive({ status: 204 });
    await out;
    expect(pages).toBe(false);
    await Promise.all(asked);
    expect(await verdict).toBe("ended");
    expect(refused).toEqual([
      expect.objectContaining({ status: 401 }),
      expect.objectContaining({ status: 401 }),
    ]);
    expect(seen.map((one) => one.line)).toEqual(["POST /auth/logout", "GET /setup"]);
    expect(ended).not.toHaveBeenCalled();
    // Later ones are sent again.
    await ask();
    expect(seen.at(2)?.line).toBe("GET /settings");
  });

  it("leaves nothing when it fails", async () => {
    const seen = server({ "POST /auth/logout": [{ status: 503 }], "GET /settings": [{ status: 200 }] });
    const leave = vi.fn(async () => {});
    await expect(signOut(leave)).rejects.toMatchObject({ status: 503 });
    expect(leave).not.toHaveBeenCalled();
    await http.GET("/api/v1/settings");
    expect(seen.map((one) => one.line)).toEqual(["POST /auth/logout", "GET /settings"]);
  });
});

describe("a write that wants a proof", () => {
  it("waits for the proof and is sent again as it was", async () => {
    setCsrfToken("csrf");
    const seen = server({ "POST /invites": [proofRequired, { status: 201, body: { path: "/invite#x" } }] });
    const stop = watchProof(() => {});
    const made = take(invite());
    await waitFor(() => expect(isProofAsked()).toBe(true));
    answerProof(true);
    expect(await made).toMatchObject({ path: "/invite#x" });
    expect(seen.map((one) => one.body)).toEqual(['{"role":"viewer"}', '{"role":"viewer"}']);
    expect(seen.map((one) => one.csrf)).toEqual(["csrf", "csrf"]);
    expect(isProofAsked()).toBe(false);
    stop();
  });

  it("is refused, and nothing is sent again, when no proof is given", async () => {
    const seen = server({ "POST /invites": [proofRequired] });
    const stop = watchProof(() => {});
    const made = invite().catch((error) => error);
    await waitFor(() => expect(isProofAsked()).toBe(true));
    answerProof(false);
    expect(await made).toMatchObject({ status: 403, unproved: true });
    expect(seen).toHaveLength(1);
    stop();
  });

  it("shares one question among all that wait", async () => {
    server({ "POST /invites": [proofRequired, proofRequired, { status: 201 }] });
    let asked = 0;
    const stop = watchProof(() => {
      if (isProofAsked()) asked += 1;
    });
    const both = Promise.all([take(invite()), take(invite())]);
    await waitFor(() => expect(isProofAsked()).toBe(true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    answerProof(true);
    await both;
    expect(asked).toBe(1);
    stop();
  });

  it("does not wait for ever: where nobody can answer, and when whoever could is gone", async () => {
    server({ "POST /invites": [proofRequired] });
    await expect(invite()).rejects.toMatchObject({ unproved: true });
    const stop = watchProof(() => {});
    const made = invite().catch((error) => error);
    await waitFor(() => expect(isProofAsked()).toBe(true));
    stop();
    expect(await made).toMatchObject({ unproved: true });
  });

  it("leaves every other refusal alone", async () => {
    const seen = server({ "POST /invites": [{ status: 403, body: { type: "/problems/denied" } }] });
    const stop = watchProof(() => {});
    await expect(invite()).rejects.toMatchObject({ status: 403, unproved: false });
    expect(seen).toHaveLength(1);
    stop();
  });
});
