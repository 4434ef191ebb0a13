import { QueryClient, QueryClientProvider, useInfiniteQuery } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { auditQuery } from "./queries";
import { useTail } from "./tail";

let socket: { onmessage: (event: { data: string }) => void };
let newest = 1;
const asked = vi.fn();

beforeEach(() => {
  vi.useFakeTimers();
  newest = 1;
  asked.mockClear();
  vi.stubGlobal(
    "WebSocket",
    class {
      static CONNECTING = 0;
      onmessage = () => {};
      close() {}
      constructor() {
        socket = this;
      }
    },
  );
  vi.stubGlobal("fetch", async (request: Request) => {
    asked(new URL(request.url).search);
    const body = { items: [{ seq: newest }], next_cursor: null, total: newest };
    return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => {
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function open() {
  const client = new QueryClient();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  const { result } = renderHook(
    () => ({ tail: useTail({ q: "x" }), log: useInfiniteQuery(auditQuery({ q: "x" })) }),
    { wrapper },
  );
  await act(() => vi.advanceTimersByTimeAsync(100));
  say({ type: "hello", quiet_ms: 60_000 });
  return {
    shown: () => result.current.log.data?.items[0]?.seq,
    tail: () => result.current.tail,
  };
}
const say = (message: unknown) => socket.onmessage({ data: JSON.stringify(message) });
async function write(entries: number) {
  for (let at = 0; at < entries; at++) say({ type: "entry", data: { seq: ++newest } });
  await act(() => vi.advanceTimersByTimeAsync(1_100));
}

describe("the tail of the audit log", () => {
  it("reads a burst once, with the filter, while the top is in view", async () => {
    const { shown, tail } = await open();
    expect(shown()).toBe(1);
    await write(20);
    expect(shown()).toBe(21);
    expect(tail().fresh).toBe(false);
    expect(asked).toHaveBeenCalledTimes(2);
    expect(asked.mock.lastCall?.[0]).toContain("q=x");
  });

  it("only says so while one looks further down, and reads on the way back", async () => {
    const { shown, tail } = await open();
    act(() => tail().setAtTop(false));
    await write(1);
    expect([shown(), tail().fresh]).toEqual([1, true]);
    await act(async () => tail().setAtTop(true));
    await act(() => vi.advanceTimersByTimeAsync(100));
    expect([shown(), tail().fresh]).toEqual([2, false]);
  });

  it("waits while it is paused, and is shown at once when asked for", async () => {
    const { shown, tail } = await open();
    act(() => tail().setLive(false));
    await write(2);
    expect([shown(), tail().fresh]).toEqual([1, true]);
    act(() => tail().catchUp());
    await act(() => vi.advanceTimersByTimeAsync(100));
    expect([shown(), tail().fresh, tail().live]).toEqual([3, false, false]);
  });
});
