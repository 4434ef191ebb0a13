import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, within } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { reach } from "#/api/client";
import type { Asset, Me } from "#/api/schema";
import { AuthProvider, meQuery } from "#/api/session";
import { parseFilter } from "#/domain/filter/grammar";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { AssetPanel } from "./asset-panel";
import { filterLoaded } from "./away";
import { assetsQuery } from "./queries";

addWords(frame);

const asset = (id: string, more: Partial<Asset>): Asset =>
  ({
    id,
    name: id,
    kind: "device",
    role: null,
    vendor: null,
    addresses: [],
    tags: [],
    typed_fields: [],
    status: "up",
    status_set: null,
    status_seen: "up",
    status_since: null,
    source: "manual",
    ...more,
  }) as Asset;
const loaded = [
  asset("nas10", { role: "nas", addresses: ["10.0.0.10"] }),
  asset("nas9", {
    role: "nas",
    addresses: ["10.0.0.9"],
    tags: [{ id: "t", name: "prod", color: "#fff" } as never],
  }),
  asset("tv", { role: "tv" }),
];
const words = { kinds: [], statuses: [], roles: [{ word: "nas", label: "NAS" }] };
const columns = [{ id: "name", text: (row: Asset) => row.name }];
const filtered = (text: string, sort = "name", whole = true) =>
  filterLoaded(
    { assets: new Map(loaded.map((one) => [one.id, one])), whole },
    parseFilter(text, words).filter,
    sort,
    columns,
  );
const names = (text: string, sort?: string) => {
  const found = filtered(text, sort);
  return "rows" in found ? found.rows.map(({ name }) => name) : found;
};

it("filters and sorts what is loaded by the same grammar", () => {
  expect(names("role:NAS")).toEqual(["nas9", "nas10"]);
  expect(names("role:NAS", "-name")).toEqual(["nas10", "nas9"]);
  expect(names("tag:prod")).toEqual(["nas9"]);
  expect(names("10.0.0.1")).toEqual(["nas10"]);
  expect(names("nothing")).toEqual([]);
});

it("says what the loaded rows cannot answer, and whether there may be more", () => {
  expect(names("port:22")).toEqual({ cannot: "port" });
  expect(names("network:Home")).toEqual({ cannot: "network" });
  expect(filtered("tv", "name", false)).toMatchObject({ whole: false });
});

async function panel(id: string): Promise<HTMLElement> {
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  vi.stubGlobal(
    "WebSocket",
    class {
      static CONNECTING = 0;
      close() {}
    },
  );
  const client = new QueryClient();
  client.setQueryData(meQuery.queryKey, { permissions: ["inventory:read"] } as unknown as Me);
  client.setQueryData(assetsQuery({ q: "any" }, "name").queryKey, {
    pages: [{ items: loaded, next_cursor: null, total: 3 }],
    pageParams: [undefined],
  });
  render(
    <QueryClientProvider client={client}>
      <AuthProvider onSignedOut={async () => {}}>
        <AssetPanel id={id} onClose={() => {}} onOpen={() => {}} />
      </AuthProvider>
    </QueryClientProvider>,
  );
  return screen.findByRole("complementary");
}

afterEach(() => vi.restoreAllMocks());

it("shows of an asset what the list knows while the server is away, and says what is missing", async () => {
  vi.spyOn(reach, "awaySince").mockReturnValue(1);
  const aside = within(await panel("nas9"));
  aside.getByRole("heading", { name: "nas9" });
  aside.getByText("10.0.0.9");
  aside.getByText(/you see only what the list contains/);
  expect(aside.queryByText("Loading…")).toBeNull();
});

it("says so of an asset that no list knows", async () => {
  vi.spyOn(reach, "awaySince").mockReturnValue(1);
  const aside = within(await panel("other"));
  aside.getByText(/has not loaded this asset before/);
  expect(aside.queryByText("Loading…")).toBeNull();
});
