import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Me, Network, NetworkDetail } from "#/api/schema";
import { AuthProvider, meQuery } from "#/api/session";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { fits } from "./filter";
import { fullness } from "./fullness";
import { NetworksPage, type NetworksSearch } from "./page";

addWords(frame);

const lan: Network = {
  id: "11111111-1111-7111-8111-111111111111",
  name: "Attic",
  cidr: "10.0.0.0/24",
  vlan: 20,
  gateway: "10.0.0.1",
  notes: "Behind the **chimney**",
  source: "manual",
  address_count: 12,
  usable: 254,
  free: 241,
  next_free: "10.0.0.3",
  conflicts: 1,
  gateway_asset: { id: "a1", name: "router", kind: "device", role: "router" },
  last_scan: {
    id: "s1",
    status: "completed",
    at: "2026-01-01T00:00:00Z",
    whole: true,
    targets: 1,
    hosts_found: 12,
    findings_new: 3,
  },
  version: 1,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
};
const named: Network = {
  ...lan,
  id: "44444444-4444-7444-8444-444444444444",
  name: "10.7.0.0/24",
  cidr: "10.7.0.0/24",
  vlan: null,
};
const six: Network = {
  ...lan,
  id: "22222222-2222-7222-8222-222222222222",
  name: "Six",
  notes: "",
  cidr: "fd00::/64",
  vlan: null,
  gateway: null,
  address_count: 12,
  usable: null,
  free: null,
  next_free: "fd00::1",
  conflicts: 0,
  gateway_asset: null,
  last_scan: null,
};

let permissions: string[];

beforeEach(() => {
  permissions = ["inventory:read", "inventory:write", "discovery:read", "discovery:write", "audit:read"];
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      disconnect() {}
      unobserve() {}
    },
  );
  vi.stubGlobal(
    "WebSocket",
    class {
      static CONNECTING = 0;
      close() {}
    },
  );
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    const detail: NetworkDetail = {
      ...lan,
      conflict_list: [
        {
          ip: "10.0.0.4",
          assets: [
            { id: "a2", name: "nas", kind: "storage", role: null },
            { id: "a3", name: "clone", kind: "device", role: null },
          ],
        },
      ],
    };
    const body = pathname.endsWith(lan.id)
      ? detail
      : pathname.endsWith("/networks")
        ? { items: [lan, six, named], next_cursor: null, total: 3 }
        : pathname.endsWith("/views")
          ? []
          : { max_prefix: 16, items: [] };
    return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
  });
});

async function shown(search: NetworksSearch): Promise<void> {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  client.setQueryData(meQuery.queryKey, { permissions } as Me);
  const page = () => (
    <AuthProvider onSignedOut={async () => {}}>
      <NetworksPage search={search} go={() => {}} />
    </AuthProvider>
  );
  const router = createRouter({
    routeTree: createRootRoute({ component: page, staticData: { needs: null } }),
    history: createMemoryHistory(),
  });
  render(
    <QueryClientProvider client={client}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("complementary");
}
const panel = () => within(screen.getByRole("complementary"));

describe("a network", () => {
  it("says how full it is, in words that a screen reader has too", async () => {
    await shown({ selected: lan.id });
    const meter = await panel().findByRole("meter", { name: "Usage" });
    expect(meter.getAttribute("aria-valuetext")).toBe("13 of 254 addresses in use, 5%");
    expect(meter.getAttribute("aria-valuenow")).toBe("13");
    panel().getByRole("button", { name: "Copy 10.0.0.3" });
    panel().getByText("241 free");
    expect(
      panel()
        .getByRole("link", { name: /router/ })
        .getAttribute("href"),
    ).toContain("selected=a1");
  });

  it("has no bar where there is no end to its addresses", async () => {
    await shown({ selected: six.id });
    await panel().findByText("12 in use");
    expect(panel().queryByRole("meter")).toBeNull();
    panel().getByText("fd00::1");
    panel().getByText("Never");
    panel().getByText(/too large for one scan/);
    expect(panel().queryByRole("link", { name: "Scan Six" })).toBeNull();
  });

  it("names the assets that share an address, with a way to each", async () => {
    await shown({ selected: lan.id });
    const list = await panel().findByText("10.0.0.4");
    const row = within(list.closest("li") as HTMLElement);
    expect(row.getAllByRole("link").map((link) => link.textContent)).toEqual(["nas", "clone"]);
  });

  it("leads to the scan form, filled with it, unless the role may not", async () => {
    await shown({ selected: lan.id });
    const link = await panel().findByRole("link", { name: "Scan Attic" });
    expect(decodeURIComponent(link.getAttribute("href") ?? "")).toContain("scan=new&targets=10.0.0.0/24");
  });
  it("offers no scan to a role that may not", async () => {
    permissions = ["inventory:read", "discovery:read"];
    await shown({ selected: lan.id });
    await panel().findByText("241 free");
    expect(screen.queryByRole("link", { name: "Scan Attic" })).toBeNull();
    expect(screen.queryByRole("columnheader", { name: "Scan" })).toBeNull();
  });

  it("that is named by its range says it once", async () => {
    await shown({ selected: named.id });
    expect(await panel().findAllByText("10.7.0.0/24")).toHaveLength(1);
  });
  it("that was deleted says so where a link still leads", async () => {
    await shown({ selected: "33333333-3333-7333-8333-333333333333" });
    await panel().findByText("This network does not exist");
    panel().getByRole("link", { name: "See who deleted it" });
  });
});

describe("the filter of networks", () => {
  const found = (q: string, network?: string) =>
    [lan, six].filter(fits({ q, network })).map((one) => one.name);
  it.each([
    ["attic", ["Attic"]],
    ["ROUTER", ["Attic"]],
    ["chimney", ["Attic"]],
    ["vlan 20", ["Attic"]],
    ["10.0.0.77", ["Attic"]],
    ["10.0.1.77", []],
    ["fd00::77", ["Six"]],
    ["", ["Attic", "Six"]],
  ])("%s", (q, names) => expect(found(q)).toEqual(names));
  it("takes the network itself", () => expect(found("", six.id)).toEqual(["Six"]));
});

it("counts the gateway as in use", () => {
  expect(fullness(lan)).toMatchObject({ used: 13, usable: 254 });
  expect(fullness({ ...lan, usable: 0, free: 0 }).share).toBe(1);
});
