import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { AssetDetail, Me } from "#/api/schema";
import { AuthProvider, meQuery } from "#/api/session";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { AssetPanel } from "./asset-panel";

addWords(frame);

const at = "2026-01-01T00:00:00Z";
const row = {
  interface_id: null,
  network_id: null,
  hostname: null,
  missed_at: null,
  source: "manual",
  last_seen_at: at,
} as const;
const stamp = { version: 1, created_at: at, updated_at: at };
const address = (id: string, ip: string) => ({ id, asset_id: "a1", ip, seen_by: [], ...row, ...stamp });
const service = (
  id: string,
  address_id: string,
  port: number,
  name: string,
  scheme: "http" | "https" | null,
) => ({
  id,
  asset_id: "a1",
  address_id,
  protocol: "tcp" as const,
  port,
  name,
  product: name === "jellyfin" ? "Jellyfin" : null,
  version_text: null,
  scheme,
  confidence: 90,
  last_seen_at: at,
});
const asset: AssetDetail = {
  id: "a1",
  name: "printer",
  kind: "storage",
  role: "storage",
  vendor: "Brother",
  model: "Brother HL-2270",
  os: null,
  notes: "See the [manual](https://manual.example/) or [this](javascript:alert(1)).",
  status: "up",
  status_set: null,
  status_seen: "up",
  status_since: null,
  source: "manual",
  typed_fields: [],
  tags: [],
  addresses: ["10.0.0.5", "fd00::5"],
  first_seen_at: at,
  last_seen_at: at,
  ...stamp,
  interfaces: [],
  address_list: [address("i4", "10.0.0.5"), address("i6", "fd00::5")],
  services: [
    service("s1", "i4", 8096, "jellyfin", "http"),
    service("s2", "i6", 8443, "https", "https"),
    service("s3", "i4", 80, "http", null),
    service("s4", "i4", 22, "ssh", null),
  ],
  links: [],
  conflicts: [{ ip: "10.0.0.5", assets: [{ id: "a2", name: "twin", kind: "device", role: null }] }],
};

let deleted: boolean;
let tell: (message: object) => void;

beforeEach(() => {
  deleted = false;
  vi.stubGlobal(
    "WebSocket",
    class {
      static CONNECTING = 0;
      onmessage = (_: { data: string }) => {};
      close() {}
      constructor(url: string) {
        if (url.includes("topology")) tell = (message) => this.onmessage({ data: JSON.stringify(message) });
      }
    },
  );
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    const headers = { "Content-Type": "application/json" };
    if (request.method === "PATCH") {
      sent.push(await request.json());
      return new Response(JSON.stringify(asset), { headers });
    }
    if (!pathname.endsWith("/assets/a1")) return new Response('{"items":[]}', { headers });
    return deleted
      ? new Response('{"title":"Not Found","status":404}', { status: 404, headers })
      : new Response(JSON.stringify(asset), { headers });
  });
});

const onOpen = vi.fn();
const sent: unknown[] = [];

async function shown(page: "/inventory" | "/map"): Promise<void> {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  client.setQueryData(meQuery.queryKey, { permissions: ["inventory:write", "audit:read"] } as Me);
  const component = () => (
    <AuthProvider onSignedOut={async () => {}}>
      <AssetPanel id="a1" onClose={() => {}} onOpen={onOpen} />
    </AuthProvider>
  );
  const root = createRootRoute({ staticData: { needs: null } });
  const routes = (["/inventory", "/map"] as const).map((path) =>
    createRoute({ getParentRoute: () => root, path, component, staticData: { needs: null } }),
  );
  const router = createRouter({
    routeTree: root.addChildren(routes),
    history: createMemoryHistory({ initialEntries: [page] }),
  });
  render(
    <QueryClientProvider client={client}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
  await screen.findByRole("complementary");
}
const panel = () => within(screen.getByRole("complementary"));

it("links the services that sent a page, by how they sent it", async () => {
  await shown("/inventory");
  await panel().findByText("8096/tcp");
  const links = panel()
    .getAllByRole("link")
    .map((link) => link as HTMLAnchorElement)
    .filter((link) => link.target === "_blank" && /new tab/.test(link.textContent ?? ""));
  expect(links.map((link) => link.getAttribute("href"))).toEqual([
    "http://10.0.0.5:8096/",
    "https://[fd00::5]:8443/",
  ]);
  for (const link of links) expect(link.rel).toBe("noopener noreferrer");
  expect(links[0]?.textContent).toBe("jellyfin(opens in a new tab)");
});

it("says vendor and model, kind and role once", async () => {
  await shown("/inventory");
  await panel().findByText("HL-2270");
  expect(screen.getByRole("complementary").textContent?.match(/Brother/g)).toHaveLength(1);
  expect(screen.getByRole("complementary").textContent?.match(/Storage/g)).toHaveLength(1);
});

it.each([
  ["Vendor", "Brother Industries", { vendor: "Brother Industries", model: "HL-2270" }],
  ["Operating system", "Debian", { os: "Debian" }],
])("sends with another vendor the model that it shows: %s", async (field, value, expected) => {
  await shown("/inventory");
  await panel().findByText("HL-2270");
  fireEvent.click(panel().getByRole("button", { name: "Edit printer" }));
  fireEvent.change(panel().getByRole("textbox", { name: field }), { target: { value } });
  sent.length = 0;
  fireEvent.click(panel().getByRole("button", { name: "Save" }));
  // The DOM of the tests takes the first choice of a list for the chosen one.
  await waitFor(() => expect(sent).toEqual([{ kind: "device", ...expected }]));
});

it("draws the notes, and links only where a link may lead", async () => {
  await shown("/inventory");
  await vi.dynamicImportSettled();
  const link = await panel().findByRole("link", { name: "manual" });
  expect(link.getAttribute("rel")).toBe("noopener noreferrer");
  expect(panel().queryByRole("link", { name: "this" })).toBeNull();
});

it("names who else has an address, with a way there", async () => {
  await shown("/inventory");
  const twin = await panel().findByRole("button", { name: "twin" });
  expect(twin.closest("li")?.textContent).toContain("10.0.0.5");
  fireEvent.click(twin);
  expect(onOpen).toHaveBeenCalledWith("a2");
});

it.each([
  ["/inventory", "Show on map", "Open in inventory", "/map?selected=a1"],
  ["/map", "Open in inventory", "Show on map", "/inventory?selected=a1"],
] as const)("on %s leads to the other page", async (page, there, here, href) => {
  await shown(page);
  const link = await panel().findByRole("link", { name: there });
  expect(link.getAttribute("href")).toBe(href);
  expect(panel().queryByRole("link", { name: here })).toBeNull();
});

it("says that its asset was deleted elsewhere, also while one changes it", async () => {
  await shown("/map");
  await panel().findByText("HL-2270");
  deleted = true;
  fireEvent.click(panel().getByRole("button", { name: "Edit printer" }));
  fireEvent.change(panel().getByRole("textbox", { name: "Name" }), { target: { value: "typed by me" } });
  act(() => tell({ type: "node_removed", data: { id: "a1" } }));
  await panel().findByText(/deleted this asset while you were editing it/);
  expect((panel().getByRole("textbox", { name: "Name" }) as HTMLInputElement).value).toBe("typed by me");
  fireEvent.click(panel().getByRole("button", { name: "Cancel" }));
  await screen.findByText("printer was deleted");
  expect(panel().getByRole("link", { name: "See who deleted it" }).getAttribute("href")).toBe(
    "/audit?entity=a1",
  );
});

it("says so where an old link leads to it", async () => {
  deleted = true;
  await shown("/inventory");
  await screen.findByText("This asset does not exist");
  expect(panel().queryByRole("button", { name: "Try again" })).toBeNull();
});
