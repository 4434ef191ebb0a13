import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import type { ReactNode } from "react";
import { beforeEach, expect, it, vi } from "vitest";
import type { Asset, Hook, Me, Network } from "#/api/schema";
import { AuthProvider, meQuery } from "#/api/session";
import { AssetForm } from "#/features/inventory/asset-form";
import { NetworkForm } from "#/features/networks/network-form";
import { HookFields } from "#/features/notifications/hook-form";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import hooks from "#/i18n/en/hooks.json";
import inventory from "#/i18n/en/inventory.json";
import networks from "#/i18n/en/networks.json";
import notifications from "#/i18n/en/notifications.json";
import { groupsOf, merge } from "./merge";

for (const words of [frame, inventory, networks, hooks, notifications]) addWords(words);

type Row = { version: number } & Record<string, unknown>;
/** What the server has, and what it was sent. */
let saved: Row;
let sent: { match: string | null; body: Record<string, unknown> }[];
let actor: { id: string; kind: string; name: string };
const at = "2026-01-01T00:00:00Z";

/** Somebody else saves. */
function elsewhere(change: Record<string, unknown>): void {
  saved = { ...saved, ...change, version: saved.version + 1 };
}

beforeEach(() => {
  sent = [];
  actor = { id: "u2", kind: "user", name: "anna" };
  Element.prototype.scrollIntoView = () => {};
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    const answer = (body: unknown, status = 200) =>
      new Response(JSON.stringify(body), {
        status,
        headers: { "Content-Type": status < 400 ? "application/json" : "application/problem+json" },
      });
    if (pathname.endsWith("/audit-log")) return answer({ items: [{ at, actor }], next_cursor: null });
    if (pathname.endsWith("/tags")) return answer({ items: [] });
    if (request.method === "GET") return answer(saved);
    const body = (await request.json()) as Record<string, unknown>;
    const match = request.headers.get("If-Match");
    sent.push({ match, body });
    if (match !== `"${saved.version}"`)
      return answer({ type: "/problems/stale", title: "Precondition Failed", status: 412 }, 412);
    saved = { ...saved, ...body, version: saved.version + 1 };
    return answer(saved);
  });
});

const onSaved = vi.fn();
beforeEach(() => onSaved.mockReset());

function page(content: ReactNode): void {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  client.setQueryData(meQuery.queryKey, { permissions: ["audit:read"], user: { id: "u1" } } as Me);
  render(
    <QueryClientProvider client={client}>
      <AuthProvider onSignedOut={async () => {}}>{content}</AuthProvider>
    </QueryClientProvider>,
  );
}

function network(): void {
  saved = {
    id: "n1",
    name: "Home",
    cidr: "10.0.0.0/24",
    vlan: null,
    gateway: "10.0.0.1",
    notes: "",
    version: 1,
    updated_at: at,
  };
  page(<NetworkForm network={saved as unknown as Network} onClose={() => {}} onSaved={onSaved} />);
}

const field = (label: string) => screen.getByLabelText<HTMLInputElement>(label);
const type = (label: string, text: string) => fireEvent.input(field(label), { target: { value: text } });
const click = (name: string) => fireEvent.click(screen.getByRole("button", { name }));
const box = () => screen.findByRole("region", { name: /changed this/ });

it("keeps what was typed, and shows the other version of the same field beside it", async () => {
  network();
  type("Name", "Mine");
  elsewhere({ name: "Theirs", notes: "new notes" });
  click("Save");
  const conflict = await box();
  expect(conflict.textContent).toContain("anna changed this while you were editing it");
  expect(within(conflict).getByText("Mine")).toBeDefined();
  expect(within(conflict).getByText("Theirs")).toBeDefined();
  expect(field("Name").value).toBe("Mine");
  // Not touched, so that it is silently what it is now.
  expect(field("Notes").value).toBe("new notes");
  expect(conflict.textContent).not.toContain("new notes");
  expect(saved.name).toBe("Theirs");
  expect(onSaved).not.toHaveBeenCalled();
});

it("saves mine anyway only when the person says so, and takes nothing else back", async () => {
  network();
  type("Name", "Mine");
  elsewhere({ name: "Theirs", gateway: "10.0.0.254" });
  click("Save");
  await box();
  // A second click on the same button is no decision.
  click("Save");
  await waitFor(() =>
    expect(document.activeElement).toBe(screen.getByRole("region", { name: /changed this/ })),
  );
  expect(sent).toHaveLength(1);
  click("Save mine anyway");
  await waitFor(() => expect(onSaved).toHaveBeenCalled());
  expect(saved).toMatchObject({ name: "Mine", gateway: "10.0.0.254" });
});

it("takes the other version of what differs, and keeps what only I changed", async () => {
  network();
  type("Name", "Mine");
  type("VLAN", "12");
  elsewhere({ name: "Theirs" });
  click("Save");
  await box();
  click("Use the other version");
  expect(screen.queryByRole("region", { name: /changed this/ })).toBeNull();
  expect(field("Name").value).toBe("Theirs");
  expect(field("VLAN").value).toBe("12");
  await waitFor(() => expect(document.activeElement).toBe(field("Name")));
  click("Save");
  await waitFor(() => expect(onSaved).toHaveBeenCalled());
  expect(saved).toMatchObject({ name: "Theirs", vlan: 12 });
});

it("asks nothing where both changed different fields: both changes are saved", async () => {
  network();
  type("Name", "Mine");
  elsewhere({ notes: "theirs" });
  click("Save");
  await waitFor(() => expect(onSaved).toHaveBeenCalled());
  expect(saved).toMatchObject({ name: "Mine", notes: "theirs" });
});

it("says that I did it myself elsewhere, and asks again when it is changed once more", async () => {
  actor = { id: "u1", kind: "user", name: "me" };
  network();
  type("Name", "Mine");
  elsewhere({ name: "Second" });
  click("Save");
  expect((await box()).textContent).toContain("You changed this in another window");
  elsewhere({ name: "Third" });
  click("Save mine anyway");
  await waitFor(async () => expect((await box()).textContent).toContain("Third"));
  expect(saved.name).toBe("Third");
});

it("gives up after a few tries against somebody who saves all the time", async () => {
  network();
  type("Name", "Mine");
  const real = fetch;
  vi.stubGlobal("fetch", async (request: Request) => {
    if (request.method === "PATCH") elsewhere({ notes: `${saved.version}` });
    return real(request);
  });
  click("Save");
  expect((await screen.findByRole("alert")).textContent).toContain("Other people keep changing this");
  expect(sent).toHaveLength(3);
  expect(field("Name").value).toBe("Mine");
});

it("sends of an asset only what was typed, also after it was changed elsewhere", async () => {
  saved = {
    id: "a1",
    name: "nas",
    kind: "device",
    role: null,
    vendor: null,
    model: null,
    os: null,
    status_set: null,
    status_seen: "up",
    notes: "",
    tags: [],
    version: 1,
    updated_at: at,
  };
  page(<AssetForm asset={saved as unknown as Asset} onClose={() => {}} onSaved={onSaved} />);
  type("Vendor", "Synology");
  elsewhere({ vendor: "QNAP", os: "QTS" });
  click("Save");
  expect((await box()).textContent).toContain("QNAP");
  click("Save mine anyway");
  await waitFor(() => expect(onSaved).toHaveBeenCalled());
  expect(sent.at(-1)).toEqual({ match: '"2"', body: { vendor: "Synology" } });
  expect(saved.os).toBe("QTS");
});

it("works where the form stays open in its panel", async () => {
  saved = { id: "h1", name: "ups", format: "generic", version: 1, updated_at: at };
  page(
    <>
      <HookFields id="f" hook={saved as unknown as Hook} writes onBusy={() => {}} onSaved={onSaved} />
      <button type="submit" form="f">
        Save
      </button>
    </>,
  );
  type("Name", "mine");
  elsewhere({ name: "theirs" });
  click("Save");
  await box();
  click("Save mine anyway");
  await waitFor(() => expect(onSaved).toHaveBeenCalled());
  expect(saved.name).toBe("mine");
});

it("tells a secret that both replaced, without showing it, and compares lists in any order", () => {
  interface Values {
    secret: Record<string, string>;
    hosts: string[];
    [key: string]: unknown;
  }
  const groups = groupsOf<{ age: number }, Values>({
    secret: { label: "Secret", secret: true, changedAt: ({ age }) => age },
    hosts: { label: "Hosts" },
  });
  const values = (token: string, hosts: string[]): Values => ({ secret: { token }, hosts });
  const base = { of: { age: 1 }, values: values("", ["a", "b"]) };
  const told = (mine: Values, age: number, hosts: string[]) =>
    merge(groups, base, mine, { of: { age }, values: values("", hosts) }).conflicts.map(({ label }) => label);
  expect(told(values("s", ["a", "b"]), 2, ["b", "a"])).toEqual(["Secret"]);
  expect(told(values("s", ["a", "b"]), 1, ["a", "b"])).toEqual([]);
  expect(told(values("", ["c"]), 1, ["a", "b", "d"])).toEqual(["Hosts"]);
  expect(told(values("", ["b", "a"]), 1, ["d"])).toEqual([]);
});
