import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { render, screen, within } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { assetQuery } from "#/api/queries";
import type { AssetDetail, Finding, Me } from "#/api/schema";
import { AuthProvider, meQuery } from "#/api/session";
import { addWords } from "#/i18n";
import words from "#/i18n/en/discovery.json";
import frame from "#/i18n/en/frame.json";
import { FindingPanel } from "./finding-panel";
import type { Review } from "./review";

addWords(words);
addWords(frame);

const finding = {
  id: "f1",
  kind: "new_asset",
  state: "open",
  title: "pve1",
  confidence: 80,
  asset_id: null,
  resolved_at: null,
  resolved_by: null,
  last_seen_at: "2026-01-01T00:00:00Z",
  proposal: {
    name: "pve1",
    kind: "compute",
    role: "hypervisor",
    addresses: [],
    interfaces: [],
    services: [],
  },
  evidence: [
    {
      source: "arp",
      address: "10.0.0.2",
      port: null,
      fact: "answers",
      value: "yes",
      at: "2026-01-01T00:00:00Z",
    },
  ],
} as unknown as Finding;

async function shown(more: Partial<Finding>) {
  vi.stubGlobal(
    "fetch",
    async () =>
      new Response('{"status":404}', { status: 404, headers: { "Content-Type": "application/json" } }),
  );
  const client = new QueryClient({
    defaultOptions: { queries: { retry: false, staleTime: Number.POSITIVE_INFINITY } },
  });
  client.setQueryData(meQuery.queryKey, { permissions: ["discovery:write", "inventory:write"] } as Me);
  client.setQueryData(assetQuery("a1").queryKey, {
    id: "a1",
    name: "pve1.lan",
    kind: "compute",
    role: null,
  } as AssetDetail);
  const page = () => (
    <AuthProvider onSignedOut={async () => {}}>
      <FindingPanel
        finding={{ ...finding, ...more }}
        review={{} as Review}
        onNext={() => {}}
        onClose={() => {}}
      />
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
  return within(await screen.findByRole("complementary"));
}

it("says of an accepted finding who accepted it, when, and what it became", async () => {
  const at = new Date(Date.now() - 3 * 60_000).toISOString();
  const panel = await shown({ state: "accepted", asset_id: "a1", resolved_by: "anna", resolved_at: at });
  panel.getByText(/anna accepted this 3 min/);
  expect(panel.queryByText("Proposed as a new asset")).toBeNull();
  expect((await panel.findByRole("link", { name: "pve1.lan" })).getAttribute("href")).toContain(
    "selected=a1",
  );
});

it("says when that asset is gone, who ignored a finding, and what an open one is", async () => {
  const accepted = await shown({ state: "accepted", asset_id: "a2", resolved_by: "anna" });
  await accepted.findByText("The asset that it became was deleted.");
});

it("says who ignored a finding", async () => {
  const at = new Date().toISOString();
  const panel = await shown({ state: "ignored", resolved_by: "ben", resolved_at: at });
  panel.getByText("ben ignored this just now");
});

it("says of an open one what it is, and shows no word of the machine", async () => {
  const panel = await shown({});
  panel.getByText("Proposed as a new asset");
  panel.getByText("Strong evidence");
  const row = panel.getByRole("row", { name: /10\.0\.0\.2/ });
  expect(row.textContent).toMatch(/^ARP10\.0\.0\.2AnswersYes/);
});
