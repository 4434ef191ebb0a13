import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "./client";
import { isOutage, watchOutages } from "./outage";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const unavailable = () =>
  new ApiError(503, { type: "/problems/unavailable", detail: "The database is away." });

function shown(queryFn: () => Promise<string>) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const stop = watchOutages(client, () => 1);
  const observer = new QueryObserver(client, { queryKey: ["one"], queryFn });
  const leave = observer.subscribe(() => {});
  return { client, leave, stop };
}

it("reads again what an outage refused, with growing waits, until it comes", async () => {
  let here = false;
  const read = vi.fn(async () => {
    if (!here) throw unavailable();
    return "rows";
  });
  const { client, stop } = shown(read);
  await vi.advanceTimersByTimeAsync(0);
  const times = [read.mock.calls.length];
  for (const wait of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    await vi.advanceTimersByTimeAsync(wait - 1);
    times.push(read.mock.calls.length);
    await vi.advanceTimersByTimeAsync(1);
    times.push(read.mock.calls.length);
  }
  expect(times).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]);
  here = true;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(client.getQueryData(["one"])).toBe("rows");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(read).toHaveBeenCalledTimes(7);
  stop();
});

it("leaves alone what the server refused for another reason, and what nobody looks at any more", async () => {
  const refused = vi.fn(() => Promise.reject(new ApiError(403, {})));
  const other = shown(refused);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(refused).toHaveBeenCalledOnce();
  other.stop();

  const away = vi.fn(() => Promise.reject(unavailable()));
  const { leave, stop } = shown(away);
  await vi.advanceTimersByTimeAsync(0);
  leave();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(away).toHaveBeenCalledOnce();
  stop();
});

it("calls no refusal an outage", () => {
  expect(isOutage(unavailable())).toBe(true);
  expect(isOutage(new ApiError(0, {}))).toBe(true);
  expect(isOutage(new ApiError(503, { type: "/problems/setup_required" }))).toBe(false);
  expect(isOutage(new ApiError(500, {}))).toBe(false);
  expect(isOutage(new Error("mistake"))).toBe(false);
});
