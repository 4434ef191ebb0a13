import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { waitingQuery } from "#/api/queries";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { Toaster } from "#/ui/toast";
import { DiscoveryPage, type DiscoverySearch } from "./page";

addWords(frame);
vi.mock("#/api/session", () => ({ useAuth: () => ({ can: () => true }) }));
vi.mock("@tanstack/react-router", () => ({ Link: "a", useRouter: () => ({ navigate: () => {} }) }));
vi.mock("#/api/hooks", async (original) => ({
  ...(await original<typeof import("#/api/hooks")>()),
  useLive: () => {},
}));

interface Row {
  id: string;
  state: string;
  role: string | null;
}
let findings: Row[] = [];
let scans: object[] = [];
let asked: { path: string; query: string; body: unknown }[] = [];
/** What a step answers with, instead of carrying it out. */
let answer: Response | undefined;
const undo = new Map<string, string[]>();

function out({ id, state, role }: Row) {
  const proposal = { name: id, kind: "device", role, vendor: null, model: null, os: null, interfaces: [] };
  const addresses = [{ ip: "10.0.0.5", hostname: null, network: null, mac: null, gateway: false }];
  return {
    id,
    state,
    title: id,
    kind: "new_asset",
    asset_id: null,
    proposal: { ...proposal, addresses, services: [], typed: [], tags: [] },
    evidence: [],
    confidence: 70,
    last_seen_at: "2026-01-01T00:00:00Z",
    review_id: `step ${id}`,
  };
}
const json = (body: unknown) =>
  new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });

async function server(request: Request | string): Promise<Response> {
  // The look whether it is there at all; without an answer the page takes no step, as soon as a test lasts that long.
  if (typeof request === "string") return json({});
  const { pathname, search, searchParams } = new URL(request.url);
  const path = pathname.replace("/api/v1/", "");
  const body = request.method === "POST" ? await request.clone().json() : undefined;
  if (body) asked.push({ path, query: search, body });
  const open = findings.filter((one) => one.state === (searchParams.get("state") ?? "open"));
  if (path === "findings") return json({ items: open.map(out), next_cursor: null, total: open.length });
  if (path === "findings/groups") {
    const keys = [...new Set(open.map((one) => one.role ?? ""))].sort();
    return json(keys.map((key) => ({ key, count: open.filter((one) => (one.role ?? "") === key).length })));
  }
  if (path === "scans") return json({ items: scans, next_cursor: null, total: scans.length });
  if (path === "tags" || path === "networks") return json({ items: [], next_cursor: null });
  if (path === "findings/undo") {
    for (const one of findings) if (undo.get(body.review_id)?.includes(one.id)) one.state = "open";
    return json({ count: 1, skipped: [], review_id: null });
  }
  const [, id = "", step] = /^findings\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
  if (body && answer) return answer;
  const state = (step ?? id) === "accept" ? "accepted" : "ignored";
  const group = body?.filter?.group;
  const chosen = findings.filter((one) =>
    step
      ? one.id === id
      : body
        ? (body.ids?.includes(one.id) ?? (group === undefined || (one.role ?? "") === group))
        : one.id === id,
  );
  if (!body) return json(out(chosen[0] as Row));
  for (const one of chosen) one.state = state;
  undo.set(
    `step ${chosen[0]?.id}`,
    chosen.map((one) => one.id),
  );
  const done = { count: chosen.length, skipped: [], review_id: `step ${chosen[0]?.id}` };
  return json(step === "accept" ? { finding: out(chosen[0] as Row), asset_id: "x" } : done);
}

function Held({ begin = {} }: { begin?: DiscoverySearch }) {
  const [search, setSearch] = useState<DiscoverySearch>(begin);
  return <DiscoveryPage search={search} go={setSearch} />;
}
function show(begin?: DiscoverySearch) {
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <Held begin={begin} />
      <Toaster />
    </QueryClientProvider>,
  );
}
async function page(begin?: DiscoverySearch) {
  show(begin);
  await screen.findByRole("button", { name: "host-1" });
  // What other tests have left.
  const messages = within(screen.getByRole("region", { name: "Notifications" }));
  for (const close of messages.queryAllByRole("button", { name: "Close" })) fireEvent.click(close);
}
const rows = () => screen.queryAllByRole("button", { name: /^host-\d$/ }).map((one) => one.textContent ?? "");
/** The messages with an undo. */
const offered = () => screen.queryAllByRole("button", { name: "Undo" }).length;
const accepted = () => findings.filter((one) => one.state === "accepted").map((one) => one.id);

describe("review", () => {
  beforeEach(() => {
    // happy-dom lays nothing out; without a height no row is in sight.
    vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
    findings = [1, 2, 3, 4, 5].map((n) => ({ id: `host-${n}`, state: "open", role: n > 2 ? "phone" : null }));
    asked = [];
    answer = undefined;
    undo.clear();
    vi.stubGlobal("fetch", server);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
    scans = [];
  });

  it.each([
    ["running", "A scan is running"],
    ["queued", "A scan is waiting to start"],
  ])("says while nothing was found yet that a scan is %s", async (status, title) => {
    findings = [];
    const at = { created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null };
    const counts = {
      hosts_found: 0,
      findings_new: 0,
      assets_seen: 0,
      addresses_total: 254,
      addresses_done: 3,
    };
    scans = [{ id: "s", status, targets: ["10.0.0.0/24"], probes: [], limitations: [], ...at, ...counts }];
    show();
    await screen.findByRole("heading", { name: title });
    screen.getByText("Findings appear here as the scan finds them. You can review them before it ends.");
    expect(screen.queryByText("Nothing to review")).toBeNull();
  });

  /** A key where the focus is, as a person presses it; Enter on a button clicks it. */
  let keys = 0;
  function press(key: string): void {
    keys += 1;
    const element = document.activeElement ?? document.body;
    const on = fireEvent.keyDown(element, { key });
    if (on && key === "Enter" && element.tagName === "BUTTON") fireEvent.click(element);
  }

  it("takes three keys from the first row to the third accepted finding, and the focus stays in the list", async () => {
    await page();
    screen.getByRole("button", { name: "host-1" }).focus();
    keys = 0;
    for (const [key, next] of [
      ["a", "host-2"],
      ["a", "host-3"],
      ["a", "host-4"],
    ] as const) {
      act(() => press(key));
      await waitFor(() => expect(document.activeElement?.textContent).toBe(next));
    }
    await waitFor(() => expect(accepted()).toEqual(["host-1", "host-2", "host-3"]));
    expect(keys).toBeLessThanOrEqual(10);
  });

  it("opens the next one in the panel, and the focus stays on the button", async () => {
    await page();
    screen.getByRole("button", { name: "host-1" }).focus();
    keys = 0;
    act(() => press("Enter"));
    await screen.findByRole("heading", { name: "host-1" });
    act(() => press("Tab"));
    expect(document.activeElement?.tagName).toBe("ASIDE");
    for (const next of ["host-2", "host-3", "host-4"]) {
      act(() => press("a"));
      await screen.findByRole("heading", { name: next });
    }
    expect(keys).toBeLessThanOrEqual(10);
    await waitFor(() => expect(accepted()).toEqual(["host-1", "host-2", "host-3"]));
    const accept = screen.getByRole("button", { name: "Accept" });
    accept.focus();
    fireEvent.click(accept);
    await screen.findByRole("heading", { name: "host-5" });
    expect(document.activeElement).toBe(accept);
  });

  it("says one sentence once, and takes the step back", async () => {
    await page();
    fireEvent.click(screen.getByRole("checkbox", { name: /host-1$/ }));
    fireEvent.click(screen.getByRole("checkbox", { name: /host-2$/ }));
    fireEvent.click(screen.getByRole("button", { name: "Ignore" }));
    expect(rows()).toEqual(["host-3", "host-4", "host-5"]);
    await screen.findByText("Ignored 2 findings");
    expect(screen.getAllByText(/Ignored 2/)).toHaveLength(1);
    expect(asked.at(-1)).toMatchObject({ path: "findings/ignore", body: { ids: ["host-1", "host-2"] } });
    fireEvent.click(screen.getByRole("button", { name: "Undo" }));
    await waitFor(() => expect(rows()).toHaveLength(5));
    expect(asked.at(-1)).toMatchObject({ path: "findings/undo", body: { review_id: "step host-1" } });
  });

  it("takes one step back for each press of u, the newest first, and its message goes with it", async () => {
    await page();
    screen.getByRole("button", { name: "host-1" }).focus();
    for (const key of ["a", "a", "i"]) act(() => press(key));
    await waitFor(() => expect(offered()).toBe(3));
    const undone = () => asked.filter(({ path }) => path === "findings/undo").map(({ body }) => body);
    for (const count of [1, 2, 3]) {
      act(() => press("u"));
      await waitFor(() => expect(rows()).toHaveLength(2 + count));
      expect(offered()).toBe(3 - count);
    }
    act(() => press("u"));
    expect(undone()).toEqual(["host-3", "host-2", "host-1"].map((id) => ({ review_id: `step ${id}` })));
  });

  it("takes a step back whose answer is on its way", async () => {
    await page();
    screen.getByRole("button", { name: "host-1" }).focus();
    act(() => press("a"));
    act(() => press("u"));
    await waitFor(() => expect(asked.at(-1)).toMatchObject({ path: "findings/undo" }));
    await waitFor(() => expect(rows()).toHaveLength(5));
    expect(offered()).toBe(0);
  });

  it("shows the findings again when a step fails, and says why", async () => {
    await page();
    answer = new Response(JSON.stringify({ detail: "Nothing can be saved just now." }), {
      status: 503,
      headers: { "content-type": "application/problem+json" },
    });
    screen.getByRole("button", { name: "host-1" }).focus();
    act(() => press("i"));
    expect(rows()).not.toContain("host-1");
    await screen.findByText(/Nothing can be saved just now/);
    await waitFor(() => expect(rows()).toContain("host-1"));
  });

  it("groups by what they look like, with counts, and reviews a whole group by its filter", async () => {
    await page({ group: "role" });
    await screen.findByText("Looks like: Phone");
    const headings = screen.getAllByRole("rowheader").map((one) => one.textContent);
    expect(headings).toEqual(["Not recognized2AcceptIgnore", "Looks like: Phone3AcceptIgnore"]);
    fireEvent.click(screen.getByRole("button", { name: "Accept 3 findings: Looks like: Phone" }));
    await screen.findByText("Accepted 3 findings");
    expect(asked.at(-1)).toMatchObject({
      path: "findings/accept",
      body: { filter: { group_by: "role", group: "phone" }, count: 3 },
    });
    expect(rows()).toEqual(["host-1", "host-2"]);
  });

  it("has one heading for each group, also while the list is still in the order before", async () => {
    for (const [at, one] of findings.entries()) one.role = at % 2 > 0 ? "phone" : null;
    await page();
    fireEvent.change(screen.getByLabelText("Group by"), { target: { value: "role" } });
    const headings = screen.getAllByRole("rowheader");
    expect(headings).toHaveLength(2);
    expect(rows()).toEqual(["host-1", "host-3", "host-5", "host-2", "host-4"]);
  });

  it("counts as the rail does, and says so where the list has fewer", async () => {
    const { rerender } = render(<div />);
    const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
    const view = (begin: DiscoverySearch) => (
      <QueryClientProvider client={client}>
        <Held key={JSON.stringify(begin)} begin={begin} />
      </QueryClientProvider>
    );
    client.setQueryData(waitingQuery.queryKey, 5);
    rerender(view({}));
    await screen.findByRole("button", { name: "Accept all 5" });
    screen.getByRole("button", { name: "host-1" }).focus();
    act(() => press("a"));
    expect(screen.getByRole("button", { name: "Accept all 4" })).toBeTruthy();
    expect(client.getQueryData(waitingQuery.queryKey)).toBe(4);
    await waitFor(() => expect(accepted()).toEqual(["host-1"]));
    rerender(view({ from: "scan-1" }));
    await screen.findByRole("button", { name: "Accept these 4" });
  });

  it("has one button for a new scan, also when there is nothing to review", async () => {
    await page();
    expect(screen.getAllByRole("button", { name: "New scan" })).toHaveLength(1);
    fireEvent.click(screen.getByRole("button", { name: "Accept all 5" }));
    await screen.findByText("Nothing to review");
    expect(screen.getAllByRole("button", { name: "New scan" })).toHaveLength(1);
    // What came of it.
    await screen.findByText("5 findings have been accepted. They are in the inventory and on the map.");
    expect(screen.getByText("Open the map")).toBeTruthy();
  });
});
