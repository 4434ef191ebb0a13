import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { onSessionEnd, reach } from "./client";
import { backoff, LiveTopic } from "./live";

class FakeSocket {
  static made: FakeSocket[] = [];
  readyState = 1;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onopen: (() => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    FakeSocket.made.push(this);
  }
  close() {
    this.closed = true;
  }
  say(message: unknown) {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }
  end(code: number) {
    this.onclose?.({ code });
  }
}
const topic = () => new LiveTopic("topology", (url) => new FakeSocket(url) as unknown as WebSocket);
const last = () => FakeSocket.made.at(-1) as FakeSocket;

const server = (status: number) => {
  const asked = vi.fn(
    async () =>
      new Response('{"user":{"id":"u"},"csrf_token":"t","permissions":[]}', {
        status,
        headers: { "Content-Type": "application/json" },
      }),
  );
  vi.stubGlobal("fetch", asked);
  return asked;
};

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.made = [];
  reach.heard();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  onSessionEnd(() => {});
});

describe("live", () => {
  it("shares one socket among listeners and closes it a little after the last", () => {
    const live = topic();
    const off = [live.subscribe(() => {}), live.subscribe(() => {})];
    expect(FakeSocket.made).toHaveLength(1);
    expect(last().url).toContain("/api/v1/topology/stream");
    for (const stop of off) stop();
    expect(last().closed).toBe(false);
    vi.advanceTimersByTime(5_000);
    expect(last().closed).toBe(true);
    expect(live.getState()).toBe("idle");
  });

  it("asks for a resync after a gap, and not at the first hello", () => {
    const live = topic();
    const seen: string[] = [];
    live.subscribe((message) => seen.push(message.type));
    last().say({ type: "hello", quiet_ms: 60_000 });
    last().say({ type: "node", data: {} });
    expect(seen).toEqual(["node"]);
    last().end(1006);
    expect(live.getState()).toBe("waiting");
    vi.advanceTimersByTime(31_000);
    expect(FakeSocket.made.length).toBeGreaterThan(1);
    last().say({ type: "hello", quiet_ms: 60_000 });
    expect(seen).toEqual(["node", "resync"]);
    expect(live.getState()).toBe("open");
  });

  it("asks for a resync at the first hello when something changed since the page began to read", () => {
    const seen: string[] = [];
    const opensAfter = (wait: number, quiet_ms: number) => {
      seen.length = 0;
      topic().subscribe((message) => seen.push(message.type));
      vi.advanceTimersByTime(wait);
      last().say({ type: "hello", quiet_ms });
      return seen;
    };
    expect(opensAfter(50, 60_000)).toEqual([]);
    expect(opensAfter(50, 20)).toEqual(["resync"]);
    expect(opensAfter(50, 900)).toEqual(["resync"]);
    expect(opensAfter(9_000, 5_000)).toEqual(["resync"]);
    expect(opensAfter(9_000, 60_000)).toEqual([]);
  });

  it("spreads what all clients are told to read again, and tells it once", () => {
    const seen: string[] = [];
    topic().subscribe((message) => seen.push(message.type));
    last().say({ type: "hello", quiet_ms: 60_000 });
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    last().say({ type: "resync", data: { within_ms: 2_000 } });
    vi.advanceTimersByTime(900);
    last().say({ type: "resync", data: { within_ms: 2_000 } });
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(seen).toEqual(["resync"]);
    vi.advanceTimersByTime(5_000);
    expect(seen).toEqual(["resync"]);
    last().say({ type: "resync", data: {} });
    expect(seen).toEqual(["resync", "resync"]);
    vi.restoreAllMocks();
  });

  it("does not come back when the session ended", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    server(401);
    const live = topic();
    live.subscribe(() => {});
    last().end(4401);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ended).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(FakeSocket.made).toHaveLength(1);
    expect(live.getState()).toBe("idle");
  });

  it("comes back with a resync when the session goes on under a new id", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    server(200);
    const live = topic();
    const seen: string[] = [];
    live.subscribe((message) => seen.push(message.type));
    last().say({ type: "hello", quiet_ms: 60_000 });
    last().end(4401);
    await vi.advanceTimersByTimeAsync(100);
    expect(ended).not.toHaveBeenCalled();
    expect(FakeSocket.made).toHaveLength(2);
    last().say({ type: "hello", quiet_ms: 60_000 });
    expect(seen).toEqual(["resync"]);
  });

  it("says that it is blocked when no socket opens although the session is alive, until one does", async () => {
    server(200);
    const live = topic();
    live.subscribe(() => {});
    for (let tries = 1; tries <= 3; tries++) {
      expect(FakeSocket.made).toHaveLength(tries);
      expect(live.getState()).not.toBe("blocked");
      last().end(1006);
      await vi.advanceTimersByTimeAsync(0);
      if (tries < 3) await vi.advanceTimersByTimeAsync(31_000);
    }
    expect(live.getState()).toBe("blocked");
    await vi.advanceTimersByTimeAsync(31_000);
    expect(FakeSocket.made).toHaveLength(4);
    expect(live.getState()).toBe("blocked");
    last().say({ type: "hello", quiet_ms: 60_000 });
    expect(live.getState()).toBe("open");
  });

  it("is not blocked when the server cannot be reached", async () => {
    server(503);
    const live = topic();
    live.subscribe(() => {});
    for (let tries = 0; tries < 5; tries++) {
      last().end(1006);
      await vi.advanceTimersByTimeAsync(31_000);
    }
    expect(live.getState()).not.toBe("blocked");
  });

  it("judges the session when it is not let in: a tab that slept longer than its session", async () => {
    const ended = vi.fn();
    onSessionEnd(ended);
    server(401);
    const live = topic();
    live.subscribe(() => {});
    last().say({ type: "hello", quiet_ms: 60_000 });
    last().end(1006);
    await vi.advanceTimersByTimeAsync(600);
    expect(FakeSocket.made).toHaveLength(2);
    expect(ended).not.toHaveBeenCalled();
    last().end(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ended).toHaveBeenCalledOnce();
    expect(live.getState()).toBe("idle");
  });

  it("opens no socket while the server is away, and one at once when it is back", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no network")));
    const live = topic();
    const seen: string[] = [];
    live.subscribe((message) => seen.push(message.type));
    last().say({ type: "hello", quiet_ms: 60_000 });
    last().end(1006);
    // None opens.
    for (let seconds = 0; seconds < 60; seconds++) {
      await vi.advanceTimersByTimeAsync(1_000);
      last().end(1006);
    }
    expect(reach.awaySince()).not.toBeNull();
    expect(live.getState()).toBe("waiting");
    expect(FakeSocket.made.length).toBeLessThan(5);
    const before = FakeSocket.made.length;
    server(200);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(reach.awaySince()).toBeNull();
    expect(FakeSocket.made).toHaveLength(before + 1);
    last().say({ type: "hello", quiet_ms: 60_000 });
    expect(seen).toEqual(["resync"]);
  });

  it("asks nobody when nobody listens any more", async () => {
    const asked = server(401);
    const live = topic();
    live.subscribe(() => {})();
    last().end(4401);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).not.toHaveBeenCalled();
    expect(live.getState()).toBe("idle");
  });

  it("comes back at once when it was too slow", () => {
    const live = topic();
    live.subscribe(() => {});
    last().end(4429);
    vi.advanceTimersByTime(600);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("ignores what is not JSON", () => {
    const live = topic();
    const seen = vi.fn();
    live.subscribe(seen);
    last().say("{nonsense");
    expect(seen).not.toHaveBeenCalled();
  });

  it("waits longer each time, with jitter, up to half a minute", () => {
    expect(backoff(0, () => 0)).toBe(250);
    expect(backoff(0, () => 1)).toBe(500);
    expect(backoff(3, () => 1)).toBe(4_000);
    expect(backoff(1_000, () => 1)).toBe(30_000);
  });
});
