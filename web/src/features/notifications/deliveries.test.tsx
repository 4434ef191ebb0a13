import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Delivery } from "#/api/schema";
import { addWords } from "#/i18n";
import words from "#/i18n/en/notifications.json";
import { Deliveries } from "./deliveries";
import { useFollow } from "./follow";
import { webhooksKey } from "./queries";

addWords(words);

const failed = {
  at: "2026-01-01T00:00:01Z",
  took_ms: 4,
  status: 503,
  error: "it is in trouble",
  excerpt: "no",
};
const arrived = { at: "2026-01-01T00:00:06Z", took_ms: 2, status: 204, error: null, excerpt: null };
const waiting: Delivery = {
  id: "1",
  notice_id: "2",
  kind: "asset.created",
  title: "Band saw was added",
  state: "waiting",
  attempts: [failed],
  created_at: "2026-01-01T00:00:00Z",
  next_at: "2026-01-01T00:00:06Z",
  finished_at: null,
  payload: { type: "asset.created" } as unknown as Delivery["payload"],
};
const delivered: Delivery = { ...waiting, state: "delivered", attempts: [failed, arrived], next_at: null };

let socket: { onmessage: (event: { data: string }) => void };
let answer: Delivery[];
let written: string[];

beforeEach(() => {
  vi.useFakeTimers();
  answer = [waiting];
  written = [];
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
    const { pathname } = new URL(request.url);
    if (request.method === "POST") written.push(pathname);
    const body = request.method === "POST" ? waiting : { items: answer, next_cursor: null, total: 1 };
    return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => {
  vi.runOnlyPendingTimers();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function Followed({ writes }: { writes: boolean }) {
  useFollow(webhooksKey, "subscriber");
  return <Deliveries subscriber={{ resource: "webhooks", id: "9" }} writes={writes} />;
}

async function open(writes: boolean) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Followed writes={writes} />
    </QueryClientProvider>,
  );
  await act(() => vi.advanceTimersByTimeAsync(100));
  say({ type: "hello", quiet_ms: 60_000 });
}
const say = (message: unknown) => socket.onmessage({ data: JSON.stringify(message) });
const row = () => screen.getByRole("button", { name: /Band saw was added/ });

describe("the deliveries", () => {
  it("change while somebody looks, and stay open", async () => {
    await open(true);
    expect(row().textContent).toContain("Retrying");
    fireEvent.click(row());
    screen.getByText("Next attempt:", { exact: false });
    answer = [delivered];
    say({ type: "hook", data: { id: "7" } });
    await act(() => vi.advanceTimersByTimeAsync(2_100));
    expect(row().textContent).toContain("Retrying");
    say({ type: "subscriber", data: { id: "9" } });
    await act(() => vi.advanceTimersByTimeAsync(600));
    expect(row().textContent).toContain("Delivered");
    expect(row().getAttribute("aria-expanded")).toBe("true");
    expect(screen.getAllByRole("list", { name: "Attempts" })[0]?.children.length).toBe(2);
  });
  it("are sent again where they are", async () => {
    await open(true);
    fireEvent.click(row());
    fireEvent.click(screen.getByRole("button", { name: "Send again" }));
    await act(() => vi.advanceTimersByTimeAsync(100));
    expect(written).toEqual(["/api/v1/webhooks/9/deliveries/1/redeliver"]);
  });
  it("are read only for whoever may not write", async () => {
    await open(false);
    fireEvent.click(row());
    screen.getByText("Request body");
    expect(screen.queryByRole("button", { name: "Send again" })).toBeNull();
  });
});
