/**
 * The one way to the server's HTTP API. Owns: the CSRF token, the deadline of each request, the judgement whether the
 * session has ended, and the translation of problem+json into `ApiError`. Invariant: no other module calls `fetch`. A call
 * either returns data or throws. A write that the server wants a fresh proof for waits for it and is sent again. While the
 * server is away (`reach`) no write is sent, so that an error can say for certain that nothing was saved.
 */
import createClient, { type Middleware } from "openapi-fetch";
import { say } from "#/i18n";
import { askForProof } from "./proof";
import { Reach } from "./reach";
import type { Me, Problem } from "./schema";
import type { paths } from "./schema.gen";
import { Turns } from "./turns";

const REQUEST_DEADLINE_MS = 30_000;
/** A request that waits this long asks whether the server is still there. It goes on waiting. */
const LONG_WAIT_MS = 8_000;
/** Another tab may have renewed the session that we share, and its cookie may be on its way. */
const SECOND_LOOK_MS = 300;
/** How long the requests of a session, and the changes of its id, wait for each other. */
const TURN_MS = 5_000;

const PROOF_REQUIRED = "/problems/proof_required";

export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
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

  /** Nothing is wrong with the request: the server, or its database, cannot answer it at the moment. */
  get outage(): boolean {
    return this.status === 0 || (this.status >= 502 && this.status <= 504 && !this.setupRequired);
  }

  /** The server wanted a proof, and the person did not give one. */
  get unproved(): boolean {
    return this.status === 403 && this.problem.type === PROOF_REQUIRED;
  }
}

/** What a page asked for when it was signed out. It is gone when it hears this. */
class SignedOut extends ApiError {
  constructor() {
    super(401, { detail: say("error.signedOut") });
  }
}

/** An answer from between: a proxy speaks for a server that is not there. The server itself explains each refusal in JSON. */
function isFromBetween(response: Response): boolean {
  return response.status >= 502 && response.status <= 504 && !isJson(response);
}

const isJson = (response: Response): boolean => /json/.test(response.headers.get("content-type") ?? "");

/** Whether the server is there. Asks the address that needs no session. */
export const reach = new Reach(async (signal) => {
  const answer = await fetch("/api/v1/health", { signal, cache: "no-store", credentials: "omit" });
  return answer.status < 500 || isJson(answer);
});

/** The error of a request that got no answer from the server. */
function unanswered(method: string, why: "unsent" | "late" | "broken"): ApiError {
  if (why === "unsent") return new ApiError(0, { detail: say("error.unsaved") });
  if (method === "GET") return new ApiError(0, { detail: say(why === "late" ? "error.late" : "error.away") });
  return new ApiError(0, { detail: say(why === "late" ? "error.lateWrite" : "error.brokenWrite") });
}

let csrfToken = "";
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

type EndReason = "unauthenticated" | "setup_required";
let onEnd: (reason: EndReason) => void = () => {};
let onAlive: (me: Me) => void = () => {};
/** What to do when the server no longer knows this session. Set once, by the router. */
export function onSessionEnd(handler: (reason: EndReason) => void): void {
  onEnd = handler;
}
/** What to do when a session that seemed to have ended goes on under a new id. Set once, by the router. */
export function onSessionAlive(handler: (me: Me) => void): void {
  onAlive = handler;
}

let doubt: Promise<"alive" | "ended" | "unknown"> | null = null;
/**
 * Something says that the session has ended (a 401, a stream closed with 4401). That is also what a session looks like
 * from behind when it has just got a new id, so the server is asked before anybody is sent away.
 */
export function doubtSession(): Promise<"alive" | "ended" | "unknown"> {
  doubt ??= judgeSession().finally(() => {
    doubt = null;
  });
  return doubt;
}

async function judgeSession(): Promise<"alive" | "ended" | "unknown"> {
  for (const last of [false, true]) {
    try {
      const me = await take(http.GET("/api/v1/auth/me"));
      setCsrfToken(me.csrf_token);
      onAlive(me);
      return "alive";
    } catch (error) {
      if (error instanceof SignedOut) return "ended";
      if (!(error instanceof ApiError && error.status === 401)) return "unknown";
      if (!last) await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
    }
  }
  onEnd("unauthenticated");
  return "ended";
}

async function toError(response: Response): Promise<ApiError> {
  const problem: Partial<Problem> = isJson(response) ? await response.json().catch(() => ({})) : {};
  return new ApiError(response.status, problem);
}

const guard: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      if (csrfToken) request.headers.set("X-CSRF-Token", csrfToken);
      request.headers.set("Content-Type", "application/json");
    }
    return request;
  },
  async onResponse({ request, response, schemaPath }) {
    if (response.ok) return undefined;
    if (isFromBetween(response)) throw unanswered(request.method, "broken");
    const error = await toError(response);
    // The gate of the pages (routes/_auth.tsx) and the forms that sign in judge their own answers.
    const judged =
      /\/auth\/(me|login|mfa|mfa\/passkey|methods|passkeys\/challenge|passkeys\/login|invite|reset)$/.test(
        schemaPath,
      );
    if (!judged && error.setupRequired) onEnd("setup_required");
    else if (!judged && error.status === 401) void doubtSession();
    throw error;
  },
  onError({ error, request }) {
    if (error instanceof ApiError) return error;
    const late = error instanceof DOMException && error.name === "TimeoutError";
    return unanswered(request.method, late ? "late" : "broken");
  },
};

const turns = new Turns(TURN_MS);

/** Sends, and tells `reach` how it went. */
async function sendHeard(request: Request): Promise<Response> {
  const long = setTimeout(() => void reach.doubt(), LONG_WAIT_MS);
  try {
    const response = await fetch(request, {
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_DEADLINE_MS)]),
    });
    if (response.status < 500 || isJson(response)) reach.heard();
    else void reach.doubt();
    return response;
  } catch (error) {
    if (!request.signal.aborted) void reach.doubt();
    throw error;
  } finally {
    clearTimeout(long);
  }
}

/** Ends when the pages of a session that was signed out are gone. */
let leaving: Promise<void> | null = null;
/** The page that signs in reads these. */
const NEEDS_NO_SESSION = /\/(setup|auth\/methods)$/;

/** Signs out, and then leaves the pages of the session. What they still ask for is not sent: it would be refused. */
export async function signOut(leave: () => Promise<void>): Promise<void> {
  await turns.change(async () => {
    await http.POST("/api/v1/auth/logout", { fetch: (request) => sendProved(request, sendHeard) });
    // Before the requests that wait for this turn are sent.
    leaving = leave().finally(() => {
      leaving = null;
    });
  });
  await leaving;
}

async function send(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method !== "GET" && pathname.startsWith("/api/v1/auth/"))
    return turns.change(() => sendHeard(request));
  return turns.use(async () => {
    if (!leaving || NEEDS_NO_SESSION.test(pathname)) return sendHeard(request);
    await leaving.catch(() => {});
    throw new SignedOut();
  });
}

async function sendProved(
  request: Request,
  send: (request: Request) => Promise<Response>,
): Promise<Response> {
  if (request.method === "GET") return send(request);
  if (reach.awaySince() !== null && !(await reach.doubt())) throw unanswered(request.method, "unsent");
  // Bytes, not a stream that is split for a second reader: what is sent twice is the same twice.
  const body = await request.clone().arrayBuffer();
  const once = () => (body.byteLength > 0 ? new Request(request, { body }) : request.clone());
  const response = await send(once());
  if (response.status !== 403 || !(await toError(response.clone())).unproved) return response;
  if (!(await askForProof())) return response;
  const again = once();
  if (csrfToken) again.headers.set("X-CSRF-Token", csrfToken);
  return send(again);
}

export const http = createClient<paths>({
  credentials: "same-origin",
  fetch: (request) => sendProved(request, send),
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
  sendOnLeave("DELETE", path);
}

/** The same for a request with a body, of which a browser takes 64 kB. */
export function sendOnLeave(method: string, path: string, body?: unknown): void {
  void fetch(path, {
    method,
    keepalive: true,
    credentials: "same-origin",
    headers: { "X-CSRF-Token": csrfToken, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {});
}
