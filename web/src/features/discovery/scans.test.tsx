import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Scan } from "#/api/schema";
import { addWords } from "#/i18n";
import discovery from "#/i18n/en/discovery.json";
import { ScanForm } from "./scan-form";
import { ScanCard } from "./scans";

addWords(discovery);
vi.mock("#/api/session", () => ({ useAuth: () => ({ can: () => true }) }));
vi.mock("@tanstack/react-router", () => ({ Link: "a", useRouter: () => ({ navigate: () => {} }) }));

function shown(counts: { hosts_found: number; findings_new: number; assets_seen: number }): string {
  const scan = { id: "1", status: "completed", targets: ["10.0.0.0/24"], probes: [], limitations: [] };
  const done = { addresses_total: 254, addresses_done: 254, error: null, requested_by: "maria" };
  const at = { created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null };
  const { container } = render(
    <QueryClientProvider client={new QueryClient()}>
      <ScanCard scan={{ ...scan, ...done, ...at, ...counts } as unknown as Scan} />
    </QueryClientProvider>,
  );
  return container.querySelector("p")?.textContent ?? "";
}

describe("the card of a scan", () => {
  it("counts what came of it, and no known assets where none were seen", () => {
    expect(shown({ hosts_found: 3, findings_new: 0, assets_seen: 2 })).toMatch(
      /^3 addresses answered · 0 new findings · 2 known assets seen · /,
    );
    expect(shown({ hosts_found: 3, findings_new: 3, assets_seen: 0 })).toMatch(
      /^3 addresses answered · 3 new findings · \w/,
    );
    expect(screen.queryByText(/0 known/)).toBeNull();
  });
});

describe("a scan that waits", () => {
  afterEach(() => vi.unstubAllGlobals());
  it.each([
    [null, 1, 0, "Waiting for other scans"],
    [null, 0, 1, "Waiting for a worker: no server with the role worker or all runs for the main site"],
    ["cellar", 1, 0, "Waiting for a worker: none runs at the site cellar"],
    ["cellar", 0, 1, "Waiting for other scans"],
    ["attic", 1, 1, "Waiting for a worker: none runs at the site attic"],
  ])("at %s, with %i workers here and %i in the cellar", async (site, here, cellar, text) => {
    const discovery = { workers: here, sites: [{ name: "cellar", workers: cellar }] };
    vi.stubGlobal("fetch", async () => Response.json(discovery));
    const scan = { id: "1", status: "queued", targets: ["10.0.0.0/24"], probes: [], limitations: [], site };
    const done = { addresses_total: 254, addresses_done: 0, error: null, requested_by: "maria", phase: null };
    const at = { created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null };
    render(
      <QueryClientProvider client={new QueryClient()}>
        <ScanCard scan={{ ...scan, ...done, ...at } as unknown as Scan} />
      </QueryClientProvider>,
    );
    await screen.findByText(new RegExp(`^${text} · `));
  });
});

const nowhere = { local_networks: [], capabilities: [], workers: 1 };
const network = (cidr: string) => ({ cidr, interface: "eth0", gateway: null });

describe("a site", () => {
  afterEach(() => vi.unstubAllGlobals());

  async function form(asked: unknown[]) {
    const json = (body: unknown) =>
      new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });
    vi.stubGlobal("fetch", async (request: Request) => {
      if (request.method === "GET")
        return json({
          ...nowhere,
          local_networks: [network("10.0.0.0/24")],
          max_prefix: 16,
          max_targets: 16,
          sites: [{ ...nowhere, name: "cellar", local_networks: [network("10.9.0.0/24")], workers: 0 }],
        });
      asked.push(await request.json());
      return json({ id: "scan-1" });
    });
    render(
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <ScanForm startLabel="Start scan" onStarted={() => {}} />
      </QueryClientProvider>,
    );
    return (await screen.findByLabelText("Site")) as HTMLSelectElement;
  }
  const targets = () => (screen.getByLabelText("Targets") as HTMLTextAreaElement).value;

  it("brings its own networks, says that nobody is there, and goes with the scan", async () => {
    const asked: unknown[] = [];
    const site = await form(asked);
    screen.getByText("A worker at this site scans.");
    expect(targets()).toBe("10.0.0.0/24");
    fireEvent.change(site, { target: { value: "cellar" } });
    expect(targets()).toBe("10.9.0.0/24");
    screen.getByText("No worker runs at this site at the moment. The scan waits until one does.");
    fireEvent.click(screen.getByRole("button", { name: "Start scan" }));
    await waitFor(() => expect(asked).toEqual([{ targets: ["10.9.0.0/24"], site: "cellar" }]));
  });

  it("leaves targets that somebody has typed", async () => {
    const site = await form([]);
    fireEvent.change(screen.getByLabelText("Targets"), { target: { value: "10.0.0.7" } });
    fireEvent.change(site, { target: { value: "cellar" } });
    expect(targets()).toBe("10.0.0.7");
  });
});

describe("a dry run", () => {
  afterEach(() => vi.unstubAllGlobals());
  it("starts the scan that it has described", async () => {
    const asked: unknown[] = [];
    const json = (body: unknown) =>
      new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });
    vi.stubGlobal("fetch", async (request: Request) => {
      if (request.method === "GET") return json({ ...nowhere, max_prefix: 16, max_targets: 16, sites: [] });
      const body = await request.json();
      asked.push(body);
      const plan = { addresses: 254, packets_estimate: 2_000, packets_per_second: 5_000, targets: [] };
      const rest = { never_written_ports: [], steps: ["ICMP: ask"] };
      return json(body.dry_run ? { ...plan, ...rest } : { id: "scan-1" });
    });
    const onStarted = vi.fn();
    render(
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <ScanForm startLabel="Start scan" targets="10.0.0.0/24" onStarted={onStarted} />
      </QueryClientProvider>,
    );
    fireEvent.click(await screen.findByRole("button", { name: "Dry run" }));
    await screen.findByText("The scan sends at most 5,000 packets per second to one network.");
    expect(screen.getAllByRole("listitem").map((one) => one.textContent)).toEqual(["ICMP: ask"]);
    fireEvent.click(screen.getByRole("button", { name: "Start scan" }));
    await waitFor(() => expect(onStarted).toHaveBeenCalledWith({ id: "scan-1" }));
    expect(asked.at(-1)).toEqual({ targets: ["10.0.0.0/24"] });
  });
});
