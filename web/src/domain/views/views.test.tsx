import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { View } from "#/api/schema";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { Toaster } from "#/ui/toast";
import { useViews } from "./use-views";
import { addressOf, choiceOf, contentOf, differs, type Shown } from "./views";

addWords(frame);
const columns = ["name", "status", "vendor"].map((id) => ({ id, header: id, cell: () => null }));
const nas: View = {
  id: "11111111-1111-7111-8111-111111111111",
  list: "inventory",
  name: "NAS",
  q: "role:nas",
  sort: "-vendor",
  narrowed: [
    { name: "network", value: "n1" },
    { name: "planet", value: "earth" },
  ],
  columns: [
    { id: "vendor", shown: true },
    { id: "gone", shown: true },
    { id: "status", shown: false },
  ],
  dense: true,
  version: 3,
  created_at: "2026-01-01T00:00:00Z",
  updated_at: "2026-01-01T00:00:00Z",
};

describe("a view", () => {
  it("opens as far as it can", () => {
    expect(addressOf(nas)).toEqual({ q: "role:nas", sort: "-vendor", network: "n1", view: nas.id });
    expect(contentOf("inventory", addressOf(nas), choiceOf(nas), columns)).toEqual({
      q: "role:nas",
      sort: "-vendor",
      narrowed: [{ name: "network", value: "n1" }],
      columns: [
        { id: "vendor", shown: true },
        { id: "status", shown: false },
      ],
      dense: true,
    });
    // What this version does not know is no change of the user's.
    expect(differs(nas, addressOf(nas), choiceOf(nas), columns)).toBe(false);
    expect(differs(nas, { ...addressOf(nas), q: "role:printer" }, choiceOf(nas), columns)).toBe(true);
    expect(differs(nas, addressOf(nas), { ...choiceOf(nas), dense: false }, columns)).toBe(true);
  });
});

function Page({ start }: { start: Shown }) {
  const [shown, setShown] = useState(start);
  const view = useViews("inventory", columns, shown, setShown);
  return (
    <main>
      {view.menu}
      <p>{`${view.columns.map((column) => column.id).join(" ")}${view.dense ? " dense" : ""}`}</p>
      <output>{JSON.stringify(shown)}</output>
    </main>
  );
}

const sent: { method: string; path: string; body: unknown; match: string | null }[] = [];
let stored: View[];
beforeEach(() => {
  sent.length = 0;
  stored = [nas];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "GET") return Response.json(stored);
    const body = await request.json().catch(() => null);
    sent.push({ method: request.method, path: pathname, body, match: request.headers.get("If-Match") });
    const saved = { ...nas, ...body, id: request.method === "POST" ? "new" : nas.id, version: 4 };
    stored = [...stored.filter(({ id }) => id !== saved.id), saved];
    return Response.json(saved, { status: request.method === "POST" ? 201 : 200 });
  });
});
afterEach(() => {
  cleanup();
  localStorage.clear();
  vi.unstubAllGlobals();
});

function show(start: Shown = {}) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <Page start={start} />
      <Toaster />
    </QueryClientProvider>,
  );
}
const menu = async (name: string | RegExp) =>
  fireEvent.keyDown(await screen.findByRole("button", { name }), { key: "Enter" });
const address = () => JSON.parse(screen.getByRole("status").textContent ?? "") as Shown;

describe("the views of a table", () => {
  it("are opened with their columns, which are not those of the table without a view", async () => {
    show({ q: "else" });
    expect(screen.getByText("name status vendor")).toBeTruthy();
    await screen.findByRole("button", { name: "Views" });
    await menu("Views");
    fireEvent.click(await screen.findByRole("menuitemradio", { name: "NAS" }));
    await screen.findByText("name vendor dense");
    expect(address()).toEqual({ q: "role:nas", sort: "-vendor", network: "n1", view: nas.id });
    await menu(/NAS/);
    fireEvent.click(await screen.findByRole("menuitem", { name: "Close the view" }));
    await screen.findByText("name status vendor");
    expect(address()).toEqual({});
  });

  it("are saved under a name, and the new one is open", async () => {
    stored = [];
    show({ q: "kind:device", sort: "-name" });
    // Before the views have come.
    await menu("Views");
    expect(screen.getByRole("main").contains(await screen.findByRole("menu"))).toBe(true);
    fireEvent.click(await screen.findByRole("menuitem", { name: "Save as a new view" }));
    fireEvent.input(await screen.findByLabelText("Name"), { target: { value: " Mine " } });
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(address().view).toBe("new"));
    expect(sent).toEqual([
      {
        method: "POST",
        path: "/api/v1/views",
        match: null,
        body: {
          list: "inventory",
          name: "Mine",
          q: "kind:device",
          sort: "-name",
          narrowed: [],
          columns: [
            { id: "status", shown: true },
            { id: "vendor", shown: true },
          ],
          dense: false,
        },
      },
    ]);
  });

  it("are overwritten and renamed, with the version that was read", async () => {
    show({ ...addressOf(nas), q: "role:printer" });
    await menu(/NAS/);
    fireEvent.click(await screen.findByRole("menuitem", { name: "Save changes to “NAS”" }));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]).toMatchObject({
      method: "PATCH",
      match: '"3"',
      body: { q: "role:printer", dense: true },
    });
    await menu(/NAS/);
    fireEvent.click(await screen.findByRole("menuitem", { name: "Rename “NAS”" }));
    fireEvent.input(await screen.findByLabelText("Name"), { target: { value: "Printers" } });
    fireEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(sent).toHaveLength(2));
    expect(sent[1]).toMatchObject({ method: "PATCH", match: '"4"', body: { name: "Printers" } });
  });

  it("that do not exist are no views, and the page says so", async () => {
    show({ q: "x", view: "unknown" });
    await screen.findByText(/^This view does not exist\./);
    screen.getByRole("button", { name: "Views" });
    expect(screen.getByText("name status vendor")).toBeTruthy();
  });

  it("that are deleted are open again after an undo, unless another one is open by then", async () => {
    show(addressOf(nas));
    await menu(/NAS/);
    fireEvent.click(await screen.findByRole("menuitem", { name: "Delete “NAS”" }));
    await waitFor(() => expect(address()).toEqual({}));
    fireEvent.click(await screen.findByRole("button", { name: "Undo" }));
    await screen.findByRole("button", { name: /NAS/ });
    expect(address()).toEqual(addressOf(nas));

    stored = [nas, { ...nas, id: "other", name: "Other", q: "x" }];
    cleanup();
    show(addressOf(nas));
    await menu(/NAS/);
    fireEvent.click(await screen.findByRole("menuitem", { name: "Delete “NAS”" }));
    await menu("Views");
    fireEvent.click(await screen.findByRole("menuitemradio", { name: "Other" }));
    await waitFor(() => expect(address().view).toBe("other"));
    fireEvent.click(await screen.findByRole("button", { name: "Undo" }));
    expect(address().view).toBe("other");
  });

  it("have a name of at most 100 characters, and the form says when that is reached", async () => {
    show();
    await menu("Views");
    fireEvent.click(await screen.findByRole("menuitem", { name: "Save as a new view" }));
    fireEvent.input(await screen.findByLabelText("Name"), { target: { value: "x".repeat(100) } });
    screen.getByText("This field takes at most 100 characters.");
  });
});
