import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Permission } from "#/api/session";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { pages, subpages } from "./pages";
import Palette from "./palette";
import { recents, remember, useRemember } from "./recent";

addWords(frame);
const at = vi.hoisted(() => ({ location: { pathname: "/vault", search: {} as Record<string, unknown> } }));
const navigate = vi.hoisted(() => vi.fn());
let lacks: Permission[] = [];
vi.mock("@tanstack/react-router", () => ({
  useNavigate: () => navigate,
  useRouterState: ({ select }: { select: (state: typeof at) => unknown }) => select(at),
}));
vi.mock("#/domain/may-see", () => ({ useMaySee: () => () => true }));
vi.mock("#/api/session", () => ({
  useAuth: () => ({ me: { user: { id: "u" } }, can: (one: Permission) => !lacks.includes(one) }),
}));
vi.mock("#/api/hooks", async (original) => ({
  ...(await original<typeof import("#/api/hooks")>()),
  useLive: () => {},
}));

const asset = (name: string, more: object = {}) => ({
  id: name,
  name,
  kind: "device",
  role: null,
  addresses: ["10.0.0.5"],
  ...more,
});
let assets: unknown[] = [];
let asked: URLSearchParams[] = [];
let views: object[] = [];
const networks = [
  { id: "n1", name: "Home LAN", cidr: "192.168.1.0/24" },
  { id: "n3", name: "Old lab", cidr: "10.0.10.0/24" },
  { id: "n2", name: "Lab", cidr: "10.0.0.0/24" },
];
async function server(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const path = pathname.replace("/api/v1/", "");
  const page = (items: unknown[]) => Response.json({ items, next_cursor: null, total: items.length });
  if (path === "assets") {
    asked.push(searchParams);
    return page(assets);
  }
  const [, id] = /^assets\/(.+)$/.exec(path) ?? [];
  if (id === "gone") return Response.json({ title: "Not found", status: 404 }, { status: 404 });
  if (id) return Response.json(asset(id));
  if (path === "networks") return page(networks);
  if (path === "views") return Response.json(views);
  return page([]);
}

function Visit() {
  useRemember("u");
  return null;
}
const client = () => new QueryClient({ defaultOptions: { queries: { retry: false } } });
function opened() {
  return render(
    <QueryClientProvider client={client()}>
      <Palette open onClose={() => {}} pages={pages} />
    </QueryClientProvider>,
  );
}
const type = (text: string) => fireEvent.change(screen.getByRole("combobox"), { target: { value: text } });
const options = () => screen.queryAllByRole("option").map((one) => one.textContent ?? "");
const chosen = () => screen.queryByRole("option", { selected: true })?.textContent ?? "";
const headings = () =>
  [...document.querySelectorAll("[cmdk-group-heading]")].map((one) => one.textContent ?? "");

beforeEach(() => {
  localStorage.clear();
  navigate.mockReset();
  Object.assign(at.location, { pathname: "/vault", search: {} });
  lacks = [];
  assets = [];
  asked = [];
  views = [];
  vi.stubGlobal("fetch", server);
});
afterEach(() => vi.unstubAllGlobals());

describe("the palette before anything is typed", () => {
  it("shows what was visited last, then pages, then actions, and not what is on the screen", async () => {
    remember("u", { id: "page map" });
    remember("u", { id: "network n2" });
    remember("u", { id: "token" });
    remember("u", { id: "a1", asset: { name: "attic nas", kind: "storage", role: "nas" } });
    remember("u", { id: "page vault" });
    opened();
    await screen.findByRole("option", { name: /Lab/ });
    expect(headings()).toEqual(["Recent", "Pages", "Actions"]);
    expect(options().slice(0, 4)).toEqual(["attic nas", "New tokenAccount", "Lab10.0.0.0/24", "Map"]);
    await waitFor(() => expect(chosen()).toBe("attic nas"));
  });

  it("begins with the pages where nothing was visited", async () => {
    opened();
    await waitFor(() => expect(chosen()).toBe("Map"));
    expect(headings()).toEqual(["Pages", "Actions"]);
  });
});

describe("the palette", () => {
  it.each([
    ["new token", "New token", { to: "/account", search: { panel: "token" } }],
    ["api key", "New token", { to: "/account", search: { panel: "token" } }],
    ["password", "Change password", { to: "/account", search: { panel: "password" } }],
    ["verify", "Verify the log", { to: "/audit", search: { run: "verify" } }],
    ["two-factor", "Two-factor sign-in", { to: "/account", search: { panel: "twoFactor" } }],
    ["2fa", "Two-factor sign-in", { to: "/account", search: { panel: "twoFactor" } }],
    ["factor", "Two-factor sign-in", { to: "/account", search: { panel: "twoFactor" } }],
    ["audit", "Audit log", { to: "/audit" }],
    ["192.168.1.0/24", "Home LAN", { to: "/networks", search: { selected: "n1" } }],
    ["10.0.0.0/2", "Lab", { to: "/networks", search: { selected: "n2" } }],
    ["lab", "Lab", { to: "/networks", search: { selected: "n2" } }],
    ["add device", "Add asset", { to: "/inventory", search: { panel: "new" } }],
    ["new printer", "Add asset", { to: "/inventory", search: { panel: "new" } }],
    ["export", "Inventory", { to: "/inventory" }],
    ["delete", "Inventory", { to: "/inventory" }],
    ["subnets", "Networks", { to: "/networks" }],
    ["alerts", "Notifications", { to: "/notifications" }],
    ["my lab", "Lab", { to: "/networks", search: { selected: "n2" } }],
    ["operations", "Operations", { to: "/settings/operations" }],
    ["workers", "Operations", { to: "/settings/operations" }],
    ["dead letters", "Operations", { to: "/settings/operations" }],
    ["sign-in providers", "Sign-in providers", { to: "/settings/providers" }],
    ["channels", "Channels", { to: "/notifications/channels" }],
    ["incoming hooks", "Incoming hooks", { to: "/notifications/incoming" }],
    ["vault keys", "Vault keys", { to: "/vault/keys" }],
    ["home", "Home LAN", { to: "/networks", search: { selected: "n1" } }],
  ])("finds %s", async (text, label, where) => {
    opened();
    type(text);
    await waitFor(() => expect(chosen()).toMatch(new RegExp(`^${label}`)));
    fireEvent.keyDown(screen.getByRole("combobox"), { key: "Enter" });
    expect(navigate).toHaveBeenCalledWith(where);
  });

  it("knows every page that needs a session", () => {
    // The account is an action; the others lead on or say that nothing is there.
    const known: string[] = ["/account", ...[...pages, ...subpages].map(({ to }) => to)];
    const routes = Object.keys(import.meta.glob("/src/routes/_auth/*.tsx"))
      .map((file) => file.replace("/src/routes/_auth/", "/").replace(".tsx", "").replace("_.", "/"))
      .filter((route) => route !== "/$" && route !== "/index");
    expect(routes.toSorted()).toEqual(known.toSorted());
  });

  it("asks for the nearest assets, in the server's order, and takes the first", async () => {
    assets = [asset("printer"), asset("attic printer"), asset("alpha")];
    opened();
    type("printer");
    await screen.findByRole("option", { name: /^printer/ });
    expect(
      options()
        .slice(0, 3)
        .map((one) => one.replace(/10.*/, "")),
    ).toEqual(["printer", "attic printer", "alpha"]);
    await waitFor(() => expect(chosen()).toMatch(/^printer/));
    expect(asked.at(-1)?.get("q")).toBe("printer");
    expect(asked.at(-1)?.has("sort"), "another order").toBe(false);
  });

  it("puts what is called so before assets that have the word elsewhere", async () => {
    assets = [asset("alpha")];
    opened();
    type("password");
    await screen.findByRole("option", { name: /^alpha/ });
    await waitFor(() => expect(chosen()).toMatch(/^Change password/));
    assets = [asset("password safe")];
    type("password s");
    await waitFor(() => expect(chosen()).toMatch(/^password safe/));
  });

  it("has views under their own heading, and finds each word of a name, whatever is around it", async () => {
    const view = { narrowed: [], columns: [], q: "", sort: "", dense: false, version: 1 };
    views = [{ ...view, id: "v", list: "inventory", name: "<b>srv</b>" }];
    opened();
    await screen.findByRole("option", { name: /srv/ });
    expect(headings()).toEqual(["Pages", "Views", "Actions"]);
    for (const text of ["srv", "<b>", "<b>srv"]) {
      type(text);
      await waitFor(() => expect(headings()).toEqual(["Views"]));
    }
  });

  it("asks for a thing without the words before its name", async () => {
    opened();
    type("my printer");
    await waitFor(() => expect(asked.at(-1)?.get("q")).toBe("printer"));
    type("my");
    await waitFor(() => expect(asked.at(-1)?.get("q")).toBe("my"));
  });

  it.each([
    ["backup", "You make backups on the server"],
    ["user guide", "The user guide comes with the source code"],
    ["run backup", "You make backups on the server"],
    ["Help", "The user guide comes with"],
    ["zebra", "Nothing found for “zebra”."],
  ])("says what to do where %s is on no page", async (text, said) => {
    opened();
    type(text);
    await screen.findByText((words) => words.startsWith(said));
  });

  it("offers no action that the role lacks", async () => {
    lacks = ["audit:read"];
    opened();
    type("verify");
    await waitFor(() => expect(options()).toEqual([]));
  });
});

describe("a filter that the palette cannot carry out", () => {
  it.each([
    ["kind:foo", "There is no kind “foo”. You can use:", "Printer"],
    ["kind:", "“kind:” needs a value. You can use:", "Printer"],
    ["kind:prin", "Choose a kind:", "Printer"],
    ["status:asleep", "There is no status “asleep”. You can use:", "Down"],
    ['kind:"access', 'The quotation mark is not closed. Write kind:"access".', "Access point"],
    ["::", "“::” has nothing before the colon.", "kind:"],
    ["kind::printer", "“kind::printer” has more than one colon.", "printer"],
  ])("explains %s and offers what can be asked", async (text, words, offer) => {
    opened();
    type(text);
    await screen.findByText((said) => said.startsWith(words));
    expect(screen.queryByText(/^Nothing found/)).toBeNull();
    fireEvent.click(screen.getByRole("button", { name: offer }));
    await waitFor(() =>
      expect(screen.getByRole<HTMLInputElement>("combobox").value.toLowerCase()).toContain(
        offer.toLowerCase(),
      ),
    );
  });

  it("does not explain what is found", async () => {
    assets = [asset("coffee machine", { role: "espresso" })];
    opened();
    type("kind:espresso");
    await screen.findByRole("option", { name: /^coffee machine/ });
    expect(screen.queryByText(/^There is no/)).toBeNull();
  });

  it("does not say that nothing was found when the search failed", async () => {
    vi.stubGlobal("fetch", async (request: Request) =>
      request.url.includes("/assets?") ? Response.json({ title: "No" }, { status: 400 }) : server(request),
    );
    opened();
    type("zebra");
    await screen.findByText(/^The search failed/);
    type("kind:zebra");
    await screen.findByText(/^There is no kind “zebra”/);
  });
});

describe("what was visited", () => {
  let queries = client();
  beforeEach(() => {
    queries = client();
    vi.useFakeTimers({ shouldAdvanceTime: true });
  });
  afterEach(() => void vi.useRealTimers());
  const page = () => (
    <QueryClientProvider client={queries}>
      <Visit />
    </QueryClientProvider>
  );
  const ids = () => recents("u").map(({ id }) => id);

  it("is each page, asset and network that somebody stays at, however they came there", async () => {
    const { rerender } = render(page());
    const go = async (pathname: string, search: object, ms = 1_500) => {
      Object.assign(at.location, { pathname, search });
      rerender(page());
      for (let waited = 0; waited < ms; waited += 100) await act(() => vi.advanceTimersByTimeAsync(100));
    };
    await go("/account", { panel: "token" });
    await go("/vault/keys", {});
    expect(ids()).toEqual(["page vaultKeys", "account"]);
    localStorage.clear();
    await go("/audit", {});
    expect(ids()).toEqual(["page audit"]);
    await go("/inventory", { selected: "nas" });
    expect(recents("u")[0]).toEqual({ id: "nas", asset: { name: "nas", kind: "device", role: null } });
    await go("/inventory", { selected: "passed by" }, 300);
    await go("/map", { selected: "router" });
    await go("/networks", { selected: "n1" });
    expect(ids()).toEqual([
      "network n1",
      "page networks",
      "router",
      "page map",
      "nas",
      "page inventory",
      "page audit",
    ]);
    remember("u", { id: "gone", asset: { name: "gone", kind: "device", role: null } });
    await go("/inventory", { selected: "gone" });
    expect(ids()).not.toContain("gone");
  });
});
