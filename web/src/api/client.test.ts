import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, http, onSessionEnd, setCsrfToken, take } from "./client";

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
afterEach(() => {
  vi.unstubAllGlobals();
  setCsrfToken("");
  onSessionEnd(() => {});
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
    answer(
      429,
      {
        title: "Too many",
        status: 429,
        detail: "Slow down.",
        request_id: "r1",
        errors: [{ field: "name", reason: "taken" }],
      },
      { "Retry-After": "7" },
    );
    const error = await take(http.GET("/api/v1/settings")).catch((e) => e);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      message: "Slow down.",
      status: 429,
      requestId: "r1",
      retryAfter: 7,
      fields: { name: "taken" },
    });
  });

  it("survives an error page that is not JSON", async () => {
    answer(502, "<html>", { "Content-Type": "text/html" });
    await expect(take(http.GET("/api/v1/settings"))).rejects.toMatchObject({
      status: 502,
      message: "HTTP 502",
    });
  });

  it("tells the router when the session is gone, but leaves the login form's 401 to the form", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    answer(401, { detail: "no" });
    await http.POST("/api/v1/auth/login", { body: { username: "a", password: "b" } }).catch(() => {});
    expect(ended).not.toHaveBeenCalled();
    await http.GET("/api/v1/settings").catch(() => {});
    expect(ended).toHaveBeenCalledWith("unauthenticated");
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
