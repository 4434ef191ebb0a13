import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Turns } from "./turns";

/** A server that knows one id at a time, and judges a request when it arrives there. */
function session(turns: Turns, wayMs: number) {
  let known = 1;
  let cookie = 1;
  const way = () => new Promise((resolve) => setTimeout(resolve, wayMs));
  return {
    use: () =>
      turns.use(async () => {
        const sent = cookie;
        await way();
        return sent === known;
      }),
    change: () =>
      turns.change(async () => {
        const sent = cookie;
        await way();
        const isTaken = sent === known;
        known += 1;
        await way();
        cookie = known;
        return isTaken;
      }),
  };
}

describe("uses and changes of a session", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("never meet, however they follow each other", async () => {
    const { use, change } = session(new Turns(5_000), 10);
    const taken: Promise<boolean>[] = [];
    for (let at = 0; at < 200; at++) {
      taken.push(use());
      if (at % 7 === 0) taken.push(change());
      if (at % 21 === 0) taken.push(change());
      taken.push(use());
      await vi.advanceTimersByTimeAsync(at % 5);
    }
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await Promise.all(taken)).not.toContain(false);
  });

  it("do not wait for one that hangs for longer than their patience", async () => {
    const turns = new Turns(5_000);
    const hang = () => new Promise<void>(() => {});
    const sent = vi.fn(async () => {});
    void turns.use(hang);
    void turns.change(sent);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(sent).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(sent).toHaveBeenCalledOnce();
    void turns.change(hang);
    await vi.advanceTimersByTimeAsync(5_000);
    void turns.use(sent);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent).toHaveBeenCalledTimes(2);
  });

  it("go on after one that failed", async () => {
    const turns = new Turns(5_000);
    await expect(turns.change(() => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    await expect(turns.use(() => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    expect(await turns.use(async () => "here")).toBe("here");
  });
});
