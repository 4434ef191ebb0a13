import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { fireEvent, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { expect, it, vi } from "vitest";
import type { Me } from "#/api/schema";
import { AuthProvider, meQuery } from "#/api/session";
import { CredentialPanel } from "#/features/credentials/credential-panel";
import { DiscoveryPage } from "#/features/discovery/page";
import { AssetPanel } from "#/features/inventory/asset-panel";
import { ChannelPanel } from "#/features/notifications/channel-panel";
import { HookPanel } from "#/features/notifications/hook-panel";
import { WebhookPanel } from "#/features/notifications/webhook-panel";
import { ProvidersPage } from "#/features/providers/page";
import { UserPanel } from "#/features/users/user-panel";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { NOTHING } from "./nothing";

addWords(frame);
const id = "01a223ee-af71-7304-8f2f-a4e581a8b5d5";
const close = vi.fn();

const pages: [kind: string, page: () => ReactNode][] = [
  ["asset", () => <AssetPanel id={id} onClose={close} onOpen={() => {}} />],
  ["finding", () => <DiscoveryPage search={{ finding: id }} go={close} />],
  ["credential", () => <CredentialPanel id={id} onClose={close} />],
  ["webhook", () => <WebhookPanel id={id} onClose={close} onSecret={() => {}} />],
  ["channel", () => <ChannelPanel id={id} onClose={close} />],
  ["hook", () => <HookPanel id={id} onClose={close} onSecret={() => {}} />],
  ["sign-in provider", () => <ProvidersPage search={{ selected: id }} go={close} />],
  ["user", () => <UserPanel id={id} onClose={close} />],
];

function show(content: ReactNode): void {
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
    const headers = { "Content-Type": "application/json" };
    if (/[0-9a-f]{12}$/.test(pathname))
      return new Response('{"title":"Not Found","status":404,"detail":"raw words of the server"}', {
        status: 404,
        headers,
      });
    const list = /views|kinds|providers$/.test(pathname) ? [] : { items: [], next_cursor: null, total: 0 };
    return new Response(JSON.stringify(list), { headers });
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  client.setQueryData(meQuery.queryKey, { permissions: [], user: { id: NOTHING } } as unknown as Me);
  const page = () => <AuthProvider onSignedOut={async () => {}}>{content}</AuthProvider>;
  const router = createRouter({
    routeTree: createRootRoute({ component: page, staticData: { needs: null } }),
    history: createMemoryHistory(),
  });
  render(
    <QueryClientProvider client={client}>
      <RouterProvider router={router as never} />
    </QueryClientProvider>,
  );
}

it.each(pages)("a link to no %s says so, and has a way out", async (kind, page) => {
  close.mockReset();
  show(page());
  expect(await screen.findByText(`This ${kind} does not exist`)).toBeTruthy();
  expect(screen.queryByText(/raw words/)).toBeNull();
  for (const button of screen.getAllByRole("button", { name: "Close" }).slice(-1)) fireEvent.click(button);
  expect(close).toHaveBeenCalled();
});

it("a link to the findings of no scan says so, and shows all", async () => {
  close.mockReset();
  show(<DiscoveryPage search={{ from: NOTHING }} go={close} />);
  await screen.findByText(/This scan does not exist/);
  fireEvent.click(screen.getByRole("button", { name: "Show all findings" }));
  expect(close).toHaveBeenCalledWith({ from: undefined });
});
