import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Reach } from "./reach";

const T0 = new Date("2026-11-28T10:00:00Z").getTime();
let answer: "here" | "gone" | "hangs" | "proxy" = "here";
const ask = vi.fn(
  (signal: AbortSignal) =>
    new Promise<boolean>((resolve, reject) => {
      if (answer === "here" || answer === "proxy") resolve(answer === "here");
      else if (answer === "gone") reject(new TypeError("refused"));
      else signal.addEventListener("abort", () => reject(signal.reason));
    }),
);
const reachOf = () => new Reach(ask, () => 1);

beforeEach(() => {
  vi.useFakeTimers({ now: T0 });
  // The deadline of a probe runs on the same clock as the test.
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const control = new AbortController();
    setTimeout(() => control.abort(), ms);
    return control.signal;
  });
  ask.mockClear();
  answer = "here";
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("whether the server can be reached", () => {
  it("is decided by a probe, not by whoever doubts", async () => {
    const reach = reachOf();
    await expect(reach.doubt()).resolves.toBe(true);
    expect(reach.awaySince()).toBeNull();
  });

  it("is no, since the last time that anything came, and only after a second look", async () => {
    const reach = reachOf();
    const changed = vi.fn();
    reach.watch(changed);
    vi.setSystemTime(T0 + 60_000);
    reach.heard();
    answer = "gone";
    vi.setSystemTime(T0 + 65_000);
    const verdict = reach.doubt();
    await vi.advanceTimersByTimeAsync(0);
    expect(reach.awaySince()).toBeNull();
    await vi.advanceTimersByTimeAsync(700);
    await expect(verdict).resolves.toBe(false);
    expect(reach.awaySince()).toBe(T0 + 60_000);
    expect(changed).toHaveBeenCalledOnce();
  });

  it("is yes for a server that was away for a moment only", async () => {
    const reach = reachOf();
    answer = "gone";
    const verdict = reach.doubt();
    await vi.advanceTimersByTimeAsync(300);
    answer = "here";
    await vi.advanceTimersByTimeAsync(700);
    await expect(verdict).resolves.toBe(true);
    expect(reach.awaySince()).toBeNull();
  });

  it("is no when a proxy answers for it, and when it is silent for longer than a slow one", async () => {
    for (const kind of ["proxy", "hangs"] as const) {
      const reach = reachOf();
      answer = kind;
      const verdict = reach.doubt();
      await vi.advanceTimersByTimeAsync(9_000);
      expect(reach.awaySince() === null).toBe(kind === "hangs");
      await vi.advanceTimersByTimeAsync(2_000);
      await expect(verdict).resolves.toBe(false);
      answer = "here";
      reach.heard();
    }
  });

  it("is no for one that hangs although its stream is still open, since the last thing that came", async () => {
    const reach = reachOf();
    vi.setSystemTime(T0 + 15_000);
    reach.streams();
    answer = "hangs";
    const verdict = reach.doubt();
    await vi.advanceTimersByTimeAsync(5_000);
    reach.streams();
    await vi.advanceTimersByTimeAsync(6_000);
    await expect(verdict).resolves.toBe(false);
    expect(reach.awaySince()).toBe(T0);
  });

  it("is no for one that broke off, since its stream was last open", async () => {
    const reach = reachOf();
    vi.setSystemTime(T0 + 15_000);
    reach.streams();
    answer = "gone";
    const verdict = reach.doubt();
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(verdict).resolves.toBe(false);
    expect(reach.awaySince()).toBe(T0 + 15_000);
  });

  it("is asked by nobody but an open stream that is silent for long, while somebody looks", async () => {
    const reach = reachOf();
    const tick = async () => {
      await vi.advanceTimersByTimeAsync(10_000);
      reach.streams();
    };
    const visible = vi.spyOn(document, "visibilityState", "get");
    visible.mockReturnValue("hidden");
    for (let at = 0; at < 4; at++) await tick();
    expect(ask).not.toHaveBeenCalled();
    visible.mockReturnValue("visible");
    await tick();
    expect(ask).toHaveBeenCalledOnce();
    // It answered: that is something that came.
    await tick();
    expect(ask).toHaveBeenCalledOnce();
    answer = "hangs";
    await tick();
    await tick();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reach.awaySince()).toBe(T0 + 50_000);
  });

  it("is asked once for all who doubt", async () => {
    const reach = reachOf();
    await Promise.all([reach.doubt(), reach.doubt(), reach.doubt()]);
    expect(ask).toHaveBeenCalledOnce();
  });

  it("is asked again, less and less often, until it comes back by itself", async () => {
    const reach = reachOf();
    answer = "gone";
    void reach.doubt();
    await vi.advanceTimersByTimeAsync(60_000);
    // 1, 2, 4, 8, 10, 10 … seconds apart.
    expect(ask.mock.calls.length).toBeGreaterThan(7);
    expect(ask.mock.calls.length).toBeLessThan(13);
    const seen: (number | null)[] = [];
    reach.watch(() => seen.push(reach.awaySince()));
    answer = "here";
    await vi.advanceTimersByTimeAsync(10_000);
    expect(seen).toEqual([null]);
    const asked = ask.mock.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask.mock.calls.length).toBe(asked);
  });

  it("is seen at once when another request gets its answer", async () => {
    const reach = reachOf();
    answer = "gone";
    void reach.doubt();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reach.awaySince()).not.toBeNull();
    reach.heard();
    expect(reach.awaySince()).toBeNull();
  });

  it("is asked at once when the browser is online again", async () => {
    const reach = reachOf();
    answer = "gone";
    void reach.doubt();
    await vi.advanceTimersByTimeAsync(20_000);
    answer = "here";
    dispatchEvent(new Event("online"));
    await vi.advanceTimersByTimeAsync(0);
    expect(reach.awaySince()).toBeNull();
  });
});
