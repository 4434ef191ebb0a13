import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "./client";
import { isOutage, watchOutages } from "./outage";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const unavailable = () =>
  new ApiError(503, { type: "/problems/unavailable", detail: "The database is away." });

function shown(queryFn: () => Promise<string>, ask: () => Promise<unknown>) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const stop = watchOutages(client, ask, () => 1);
  const observer = new QueryObserver(client, { queryKey: ["one"], queryFn });
  const leave = observer.subscribe(() => {});
  return { client, leave, stop };
}

it("asks with growing waits, and reads what an outage refused when the server can answer", async () => {
  let here = false;
  const answer = async () => {
    if (!here) throw unavailable();
    return "rows";
  };
  const [read, ask] = [vi.fn(answer), vi.fn(answer)];
  const { client, stop } = shown(read, ask);
  await vi.advanceTimersByTimeAsync(0);
  const times = [];
  for (const wait of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    await vi.advanceTimersByTimeAsync(wait - 1);
    times.push(ask.mock.calls.length);
    await vi.advanceTimersByTimeAsync(1);
    times.push(ask.mock.calls.length);
  }
  expect(times).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
  // Its message stays as it is meanwhile.
  expect(read).toHaveBeenCalledOnce();
  here = true;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(client.getQueryData(["one"])).toBe("rows");
  await vi.advanceTimersByTimeAsync(60_000);
  expect([read, ask].map((one) => one.mock.calls.length)).toEqual([2, 6]);
  stop();
});

it("goes on where the server can answer some requests and not others", async () => {
  const read = vi.fn(() => Promise.reject(unavailable()));
  const { stop } = shown(read, async () => "me");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(read.mock.calls.length).toBeGreaterThan(10);
  expect(read.mock.calls.length).toBeLessThan(20);
  stop();
});

it("leaves alone what the server refused for another reason, and what nobody looks at any more", async () => {
  const ask = vi.fn(async () => "me");
  const refused = vi.fn(() => Promise.reject(new ApiError(403, {})));
  const other = shown(refused, ask);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(refused).toHaveBeenCalledOnce();
  other.stop();

  const away = vi.fn(() => Promise.reject(unavailable()));
  const { leave, stop } = shown(away, ask);
  await vi.advanceTimersByTimeAsync(0);
  leave();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(away).toHaveBeenCalledOnce();
  expect(ask).not.toHaveBeenCalled();
  stop();
});

it("calls no refusal an outage", () => {
  expect(isOutage(unavailable())).toBe(true);
  expect(isOutage(new ApiError(0, {}))).toBe(true);
  expect(isOutage(new ApiError(503, { type: "/problems/setup_required" }))).toBe(false);
  expect(isOutage(new ApiError(500, {}))).toBe(false);
  expect(isOutage(new Error("mistake"))).toBe(false);
});
