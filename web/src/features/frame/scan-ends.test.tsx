import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { scansKey } from "#/api/queries";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { Toaster } from "#/ui/toast";
import { ScanEnds } from "./review";

addWords(frame);
const location = vi.hoisted(() => ({ pathname: "/", search: {} }));
const navigate = vi.hoisted(() => vi.fn());
vi.mock("@tanstack/react-router", () => ({ useRouter: () => ({ state: { location }, navigate }) }));
vi.mock("#/api/hooks", async (original) => ({
  ...(await original<typeof import("#/api/hooks")>()),
  useLive: () => {},
}));

let number = 0;
/** Whether the end of a scan is told with a way to what came of it. */
async function leads(findings_new: number, pathname: string, search: object): Promise<boolean> {
  Object.assign(location, { pathname, search });
  const targets = [`10.0.${++number}.0/24`];
  const scan = { id: `s${number}`, status: "running", targets, findings_new, error: null };
  vi.stubGlobal("fetch", async () => Response.json([{ key: "new_asset", count: findings_new }]));
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  const put = (status: string) =>
    client.setQueryData(scansKey, {
      pages: [{ items: [{ ...scan, status }], next_cursor: null, total: 1 }],
      pageParams: [undefined],
    });
  put("running");
  const { unmount } = render(
    <QueryClientProvider client={client}>
      <ScanEnds />
      <Toaster />
    </QueryClientProvider>,
  );
  act(() => void put("completed"));
  const text = await screen.findByText(new RegExp(`The scan of ${targets} ended`));
  const has = (text.parentElement?.textContent ?? "").match(/Review|Show the scan/) !== null;
  unmount();
  return has;
}

describe("the end of a scan", () => {
  afterEach(() => vi.unstubAllGlobals());
  it("leads to what came of it, unless one is there", async () => {
    expect(await leads(3, "/map", {})).toBe(true);
    expect(await leads(3, "/discovery", {})).toBe(false);
    expect(await leads(3, "/discovery", { state: "ignored" })).toBe(true);
    expect(await leads(3, "/discovery", { tab: "scans" })).toBe(true);
    expect(await leads(0, "/discovery", { tab: "scans" })).toBe(false);
    expect(await leads(0, "/discovery", {})).toBe(true);
  });
});
