/**
 * The one way to the server's HTTP API. Owns: the CSRF token, the deadline of each request, and the translation of
 * problem+json into `ApiError`. Invariant: no other module calls `fetch`. A call either returns data or throws.
 */
import createClient, { type Middleware } from "openapi-fetch";
import type { Problem } from "./schema";
import type { paths } from "./schema.gen";

const REQUEST_DEADLINE_MS = 30_000;

export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
    readonly retryAfter: number | null = null,
  ) {
    super(problem.detail || problem.title || `HTTP ${status}`);
  }

  get requestId(): string | undefined {
    return this.problem.request_id;
  }

  /** Reasons by field, as the server gave them. */
  get fields(): Record<string, string> {
    return Object.fromEntries((this.problem.errors ?? []).map((e) => [e.field, e.reason]));
  }

  get setupRequired(): boolean {
    return this.status === 503 && (this.problem.type ?? "").endsWith("setup_required");
  }
}

let csrfToken = "";
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

type EndReason = "unauthenticated" | "setup_required";
let onEnd: (reason: EndReason) => void = () => {};
/** What to do when the server no longer knows this session. Set once, by the router. */
export function onSessionEnd(handler: (reason: EndReason) => void): void {
  onEnd = handler;
}
export function sessionEnded(): void {
  onEnd("unauthenticated");
}

async function toError(response: Response): Promise<ApiError> {
  const kind = response.headers.get("content-type") ?? "";
  const problem: Partial<Problem> = kind.includes("json") ? await response.json().catch(() => ({})) : {};
  const wait = Number(response.headers.get("retry-after"));
  return new ApiError(response.status, problem, Number.isFinite(wait) && wait > 0 ? wait : null);
}

const guard: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      if (csrfToken) request.headers.set("X-CSRF-Token", csrfToken);
      request.headers.set("Content-Type", "application/json");
    }
    return request;
  },
  async onResponse({ response, schemaPath }) {
    if (response.ok) return undefined;
    const error = await toError(response);
    // The gate of the pages (routes/_auth.tsx) and the login form judge their own answers.
    const judged = schemaPath.endsWith("/auth/me") || schemaPath.endsWith("/auth/login");
    if (!judged && error.setupRequired) onEnd("setup_required");
    else if (!judged && error.status === 401) onEnd("unauthenticated");
    throw error;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      return new ApiError(0, { detail: "The server did not answer within 30 seconds." });
    }
    return new ApiError(0, {
      detail: "The server cannot be reached. Is it running, and are you on its network?",
    });
  },
};

export const http = createClient<paths>({
  credentials: "same-origin",
  fetch: (request) =>
    fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_DEADLINE_MS)]) }),
});
http.use(guard);

/** Unwraps an answer that has a body. The guard has already thrown for every answer that is not 2xx. */
export async function take<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  if (data === undefined) throw new ApiError(0, { detail: "The server sent an empty answer." });
  return data;
}

/** For `If-Match`: the version that was read, so that someone else's edit is not overwritten unseen. */
export function ifMatch(version: number): Record<string, string> {
  return { "If-Match": `"${version}"` };
}

/** A delete that survives the page being closed; used to flush pending undoable deletes. */
export function deleteOnLeave(path: string): void {
  void fetch(path, {
    method: "DELETE",
    keepalive: true,
    credentials: "same-origin",
    headers: { "X-CSRF-Token": csrfToken, "Content-Type": "application/json" },
  }).catch(() => {});
}
