import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen, within } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "#/api/client";
import { operationsQuery } from "#/api/queries";
import { storageQuery } from "#/api/storage";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { OperationsPage } from "./page";

addWords(frame);
vi.mock("@tanstack/react-router", () => ({ Link: ({ children }: { children: ReactNode }) => children }));
vi.mock("#/api/session", () => ({ useAuth: () => ({ can: () => true }) }));
vi.mock("#/api/hooks", async (original) => ({
  ...(await original<typeof import("#/api/hooks")>()),
  useLive: () => {},
}));

const NOW = new Date("2026-01-01T12:00:00Z");
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1_000).toISOString();
const server = (id: string, more: object) => ({
  id,
  host: `host-${id}`,
  role: "api",
  site: null,
  version: "1.2.3",
  started_at: ago(3_600),
  seen_at: ago(0),
  memory_bytes: 50_000_000,
  ...more,
});
const works = [
  {
    name: "servers",
    who: "each_and_at_stop",
    every_seconds: 10,
    started_at: ago(5),
    ended_at: ago(5),
    next_at: ago(-5),
  },
  {
    name: "audit_checkpoint",
    who: "each_and_at_stop",
    every_seconds: 3_600,
    started_at: null,
    ended_at: null,
  },
  { name: "clock", who: "each", every_seconds: 60, started_at: ago(1), ended_at: null, running: true },
].map((work) => ({ next_at: null, running: false, error: null, ...work }));
const operations = {
  server: "a",
  degraded: [],
  servers: [server("a", {}), server("w", { role: "worker", site: "cellar", seen_at: ago(8) })],
  database: { kind: "postgres", storage: { state: "serving", trouble: null }, pools: [] },
  fabric: {
    mode: "cluster",
    redis: { up: true, since: ago(600), error: null },
    nats: { up: true, since: ago(1), error: null },
  },
};
let away: boolean;
let answer: typeof operations | Promise<typeof operations>;
let asked: string[];
const serving = { state: "serving", trouble: null } as const;
const trouble = { state: "away", trouble: "The database does not answer. Nothing can be read." } as const;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  away = false;
  answer = operations;
  asked = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname.replace("/api/v1/", ""));
    if (pathname.endsWith("/storage")) return Response.json(serving);
    if (away) return Response.json({ detail: "The database does not answer." }, { status: 503 });
    if (pathname.endsWith("/operations")) return Response.json(await answer);
    if (pathname.endsWith("/periodic")) return Response.json({ items: works });
    return Response.json({ items: [], next_cursor: null, total: 0 });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = async (seconds: number) => {
  for (let second = 0; second < seconds; second++) await act(() => vi.advanceTimersByTimeAsync(1_000));
};
/** Less than any wait. */
const soon = () => act(() => vi.advanceTimersByTimeAsync(5));
async function show(client = new QueryClient({ defaultOptions: { queries: { retry: false } } })) {
  render(
    <QueryClientProvider client={client}>
      <OperationsPage />
    </QueryClientProvider>,
  );
  await pass(1);
  return client;
}
const block = (name: string) => screen.getByRole("region", { name });
const textOf = (name: string) => block(name).textContent ?? "";

it("puts first what needs somebody, and gives each server two lines", async () => {
  await show();
  const titles = screen.getAllByRole("heading", { level: 2 }).map((one) => one.textContent);
  expect(titles.slice(0, 3)).toEqual(["What is degraded", "Dead letters", "Servers"]);
  const rows = within(block("Servers")).getAllByText(/^host-/);
  expect(rows.map((one) => one.parentElement?.textContent)).toEqual([
    "host-aAPIAnswered this page",
    "host-wWorkerSite cellarLast seen 9 seconds ago",
  ]);
  const since = new Date(ago(600)).toLocaleTimeString(undefined, { timeStyle: "short" });
  expect(textOf("Database, Redis and NATS")).toContain(`Since ${since}`);
  expect(textOf("Database, Redis and NATS")).not.toContain("now");
});

it("says of each work how often it is done, and when next also where it was never done", async () => {
  await show();
  const text = textOf("Periodic work");
  expect(text).toContain("Every 10 seconds.");
  expect(text).toContain("Every minute.");
  expect(text).toContain("Last runNot yetNext runWithin 1 hour of the start");
  expect(text).toContain("Running nowNext runAfter this run");
});

it("lets times grow old while nothing can be read, and says of when they are", async () => {
  const client = await show();
  const read = new Date(client.getQueryState(operationsQuery.queryKey)?.dataUpdatedAt ?? 0);
  const time = read.toLocaleTimeString(undefined, { timeStyle: "medium" });
  away = true;
  await pass(40);
  expect(textOf("Servers")).toContain("Last seen 49 seconds ago");
  expect(textOf("Servers")).toContain(`As of ${time}. It could not be read since.`);
  expect(textOf("What is degraded")).toContain(`could not be read since ${time}`);
  expect(textOf("What is degraded")).not.toContain("Everything works.");
  await pass(60);
  expect(textOf("Servers")).toContain("Last seen 2 minutes ago");
  away = false;
  await pass(31);
  expect(screen.getByText("Everything works.")).toBeTruthy();
  expect(screen.queryByText(/As of/)).toBeNull();
});

it("says that the others are not known while the database does not answer", async () => {
  answer = {
    ...operations,
    database: { ...operations.database, storage: { state: "away", trouble: "Start it." as never } },
    servers: [server("a", {})],
  };
  await show();
  expect(textOf("Servers")).toContain("Only the server that answered is listed.");
});

const all = ["operations", "operations/job-kinds", "operations/jobs", "operations/periodic"];

it("is read again at once when the client knows of trouble with the database, and when it is over", async () => {
  const client = await show();
  screen.getByText("Everything works.");
  asked = [];
  // The server takes long, as it does in an outage.
  let say: (operations: typeof answer) => void = () => {};
  answer = new Promise((resolve) => {
    say = resolve;
  });
  client.setQueryData(storageQuery.queryKey, trouble);
  await soon();
  expect([...asked].sort()).toEqual(all);
  expect(textOf("What is degraded")).toContain("Something is wrong with the database.");
  expect(textOf("What is degraded")).not.toContain("Everything works.");
  expect(textOf("Database, Redis and NATS")).toContain("Degraded");
  const degraded = {
    code: "storage",
    what: "It is away.",
    why: null,
    means: "m",
    fix: "f",
    since: null,
    work: null,
  };
  say({ ...operations, degraded: [degraded as never] });
  await soon();
  expect(textOf("What is degraded")).toContain("It is away.");
  expect(textOf("What is degraded")).not.toContain("Something is wrong with the database.");

  asked = [];
  answer = operations;
  client.setQueryData(storageQuery.queryKey, serving);
  await soon();
  expect([...asked].sort()).toEqual(all);
  screen.getByText("Everything works.");
});

it("is read again also when it was read a moment ago", async () => {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: 15_000 } } });
  client.setQueryData(operationsQuery.queryKey, operations as never);
  await show(client);
  expect(asked).toContain("operations");
});

it("does not say that everything works where the state of the database cannot be read", async () => {
  const client = await show();
  const refused = () => Promise.reject(new ApiError(503, { type: "/problems/unavailable" }));
  asked = [];
  await act(() => client.fetchQuery({ ...storageQuery, queryFn: refused, retry: false }).catch(() => {}));
  await soon();
  expect([...asked].sort()).toEqual(all);
  expect(textOf("What is degraded")).not.toContain("Everything works.");
});
