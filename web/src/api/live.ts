/**
 * Live updates. Owns one WebSocket per topic, shared by all listeners, opened with the first and closed a little after
 * the last. Invariants: it never polls for news; a gap (reconnect, sleep, 4429, or a change between the page's first reads
 * and the first hello) is always announced as `{type: "resync"}` so that listeners fetch again; on 4401 the client judges
 * whether the session has ended or only has a new id, and so it does when a socket does not come to open: a browser does not
 * tell a refusal (the tab slept longer than the session) from silence. While the server is away (`reach`) no socket is opened:
 * all come back when it does. To add a topic: one line in `Topics`.
 */
import { doubtSession, reach } from "./client";
import type { Finding, MapGroup, MapLink, MapNode, Scan, Storage } from "./schema";

/** `within_ms`: all clients are told the same, so each waits for a random part of that time. */
type Gap = { type: "resync"; data?: { within_ms?: number } };
type Topics = {
  "audit-log": Gap | { type: "entry"; data: { seq: number } };
  discovery:
    | Gap
    | { type: "storage"; data: Storage }
    | { type: "scan"; data: Scan }
    | { type: "finding"; data: Finding };
  notifications: Gap | { type: "subscriber"; data: { id: string } } | { type: "hook"; data: { id: string } };
  topology:
    | Gap
    | { type: "node"; data: MapNode }
    | { type: "node_removed"; data: { id: string } }
    | { type: "link"; data: MapLink }
    | { type: "link_removed"; data: { id: string } }
    | { type: "group"; data: MapGroup }
    | { type: "group_removed"; data: { id: string } }
    | { type: "positions"; data: { positions: { asset_id: string; x: number; y: number }[] } };
};
type Topic = keyof Topics;
export type LiveMessage<T extends Topic> = Topics[T];
/** `blocked`: the server answers and knows the session, and no socket opens. Something between does not pass WebSockets. */
export type LiveState = "idle" | "connecting" | "open" | "waiting" | "blocked";

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const LINGER_MS = 3_000;
/** A page reads before it listens, while its code still loads. */
const READ_BEFORE_MS = 1_000;
/** So many sockets in a row that did not open although the session is alive: no accident. */
const BLOCKED_AFTER = 3;
/** A clock that jumped this far means the machine slept: the socket may be dead without knowing. */
const SLEEP_MS = 40_000;

/** Full jitter, so that a restarted server is not met by every tab at once. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
  return ceiling / 2 + (ceiling / 2) * random();
}

export class LiveTopic<T extends Topic> {
  private socket: WebSocket | null = null;
  private listeners = new Set<(message: Topics[T]) => void>();
  private watchers = new Set<() => void>();
  private attempt = 0;
  private unopened = 0;
  private opened = false;
  private startedAt = 0;
  private greeted = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private later: ReturnType<typeof setTimeout> | undefined;
  private linger: ReturnType<typeof setTimeout> | undefined;
  private tick: ReturnType<typeof setInterval> | undefined;
  private unwatchReach = () => {};
  private state: LiveState = "idle";

  constructor(
    private readonly topic: T,
    private readonly open: (url: string) => WebSocket = (url) => new WebSocket(url),
  ) {}

  getState = (): LiveState => this.state;

  watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  };

  subscribe(listener: (message: Topics[T]) => void): () => void {
    this.listeners.add(listener);
    clearTimeout(this.linger);
    if (this.state === "idle") this.start();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.linger = setTimeout(() => this.stop(), LINGER_MS);
    };
  }

  /** A session goes on after it seemed to have ended: whoever still listens hears again. */
  revive(): void {
    if (this.state === "idle" && this.listeners.size > 0) this.start(true);
  }

  private start(again = false): void {
    addEventListener("online", this.wake);
    addEventListener("pageshow", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    let last = Date.now();
    this.tick = setInterval(() => {
      const now = Date.now();
      if (now - last > SLEEP_MS) this.reconnectNow();
      else if (this.state === "open") reach.streams();
      last = now;
    }, 10_000);
    // What was missed in between is a gap.
    this.opened = again;
    this.startedAt = performance.now();
    this.unwatchReach = reach.watch(() => {
      if (this.waits()) this.reconnectNow();
    });
    this.connect();
  }

  private stop(): void {
    removeEventListener("online", this.wake);
    removeEventListener("pageshow", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.unwatchReach();
    clearInterval(this.tick);
    clearTimeout(this.retry);
    clearTimeout(this.later);
    this.later = undefined;
    this.drop();
    this.attempt = 0;
    this.unopened = 0;
    this.setState("idle");
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.drop();
    this.greeted = false;
    // What is away is asked for in one place, which calls again when it is back.
    if (reach.awaySince() !== null) {
      if (this.state !== "blocked") this.setState("waiting");
      return;
    }
    // What is blocked stays so until a socket opens.
    if (this.state !== "blocked") this.setState("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.open(`${scheme}://${location.host}/api/v1/${this.topic}/stream`);
    this.socket = socket;
    socket.onmessage = (event) => this.receive(socket, event);
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
  }

  private receive(socket: WebSocket, event: MessageEvent): void {
    if (this.socket !== socket || typeof event.data !== "string") return;
    let message: { type: string; quiet_ms?: number; data?: { within_ms?: number } };
    try {
      message = JSON.parse(event.data);
    } catch {
      return;
    }
    reach.heard();
    if (message.type === "hello") {
      this.attempt = 0;
      this.unopened = 0;
      this.greeted = true;
      this.setState("open");
      const unheardMs = performance.now() - this.startedAt + READ_BEFORE_MS;
      if (this.opened || (message.quiet_ms ?? 0) < unheardMs) this.emit({ type: "resync" } as Topics[T]);
      this.opened = true;
      return;
    }
    const within = message.type === "resync" ? (message.data?.within_ms ?? 0) : 0;
    if (within > 0)
      this.later ??= setTimeout(() => {
        this.later = undefined;
        this.emit({ type: "resync" } as Topics[T]);
      }, Math.random() * within);
    else this.emit(message as Topics[T]);
  }

  private closed(code: number): void {
    this.socket = null;
    if (this.state !== "blocked") this.setState("waiting");
    if (code === 4401 || (code === 1006 && !this.greeted)) {
      if (this.listeners.size === 0) this.stop();
      else void this.doubt(code);
      return;
    }
    this.retryAfter(code === 4429 ? BACKOFF_FIRST_MS : backoff(this.attempt++));
  }

  private async doubt(code: number): Promise<void> {
    const verdict = await doubtSession();
    // Meanwhile stopped, or woken and open again.
    if (!this.waits()) return;
    if (verdict === "ended") return this.stop();
    if (verdict === "alive" && code === 1006) {
      this.unopened += 1;
      if (this.unopened >= BLOCKED_AFTER) this.setState("blocked");
    }
    this.retryAfter(verdict === "alive" && code === 4401 ? 0 : backoff(this.attempt++));
  }

  private waits(): boolean {
    return this.state === "waiting" || (this.state === "blocked" && this.socket === null);
  }

  private retryAfter(wait: number): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), wait);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    // Closing a socket that is still connecting logs an error in the console; let it open first.
    if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(1000);
    else socket.close(1000);
  }

  private wake = (): void => {
    if (document.visibilityState === "visible" && this.waits()) this.reconnectNow();
  };

  private reconnectNow(): void {
    this.attempt = 0;
    this.connect();
  }

  private emit(message: Topics[T]): void {
    for (const listener of this.listeners) listener(message);
  }

  private setState(state: LiveState): void {
    if (this.state === state) return;
    this.state = state;
    for (const changed of this.watchers) changed();
  }
}

export const live = {
  "audit-log": new LiveTopic("audit-log"),
  discovery: new LiveTopic("discovery"),
  notifications: new LiveTopic("notifications"),
  topology: new LiveTopic("topology"),
};
