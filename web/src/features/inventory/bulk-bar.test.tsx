import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Asset } from "#/api/schema";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import inventory from "#/i18n/en/inventory.json";
import { flushDeferred, UNDO_MS } from "#/ui/toast";
import { BulkBar } from "./bulk-bar";
import { exportAddress } from "./queries";

addWords(frame);
addWords(inventory);

const rows = [{ id: "a" }, { id: "b" }] as Asset[];
const sent: { path: string; body: unknown }[] = [];

function bar(props: { all: boolean; onAll?: () => void; hide?: (whole: boolean) => void }) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <BulkBar
        rows={rows}
        total={1_059}
        filter={{ role: "nas" }}
        hide={() => {}}
        clear={() => {}}
        {...props}
      />
    </QueryClientProvider>,
  );
}

describe("what is done to many", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    sent.length = 0;
    vi.stubGlobal("fetch", async (request: Request) => {
      sent.push({ path: new URL(request.url).pathname, body: await request.json() });
      return new Response(JSON.stringify({ count: 1 }), { headers: { "content-type": "application/json" } });
    });
  });
  afterEach(() => {
    flushDeferred("commit");
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("offers all that match beside the two that are loaded", () => {
    const onAll = vi.fn();
    bar({ all: false, onAll });
    expect(screen.getByRole("status").textContent).toBe("2 selected");
    fireEvent.click(screen.getByRole("button", { name: "Select all 1,059 that match" }));
    expect(onAll).toHaveBeenCalledOnce();
  });

  it("deletes all that match by their filter and their number, when the time to undo is over", async () => {
    const hide = vi.fn();
    bar({ all: true, hide });
    expect(screen.getByRole("status").textContent).toBe("All 1,059 matching rows are selected");
    fireEvent.click(screen.getByRole("button", { name: "Delete" }));
    expect(hide).toHaveBeenLastCalledWith(true);
    expect(sent).toEqual([]);
    await act(() => vi.advanceTimersByTimeAsync(UNDO_MS + 1));
    expect(sent).toEqual([
      { path: "/api/v1/assets/delete", body: { filter: { role: "nas" }, count: 1_059 } },
    ]);
    expect(hide).toHaveBeenLastCalledWith(false);
  });

  it("deletes those that are ticked by their ids, in one request", async () => {
    bar({ all: false });
    fireEvent.click(screen.getByRole("button", { name: "Delete" }));
    await act(() => vi.advanceTimersByTimeAsync(UNDO_MS + 1));
    expect(sent).toEqual([{ path: "/api/v1/assets/delete", body: { ids: ["a", "b"] } }]);
  });
});

describe("the CSV of a list", () => {
  it("is asked for with its filter, its order and its columns", () => {
    expect(exportAddress({ role: "access_point", q: "a b" }, "-name", ["name", "role"])).toBe(
      "/api/v1/assets/export?sort=-name&columns=name%2Crole&role=access_point&q=a+b",
    );
  });
});
