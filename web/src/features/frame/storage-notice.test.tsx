import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { reach } from "#/api/client";
import { watchOutages } from "#/api/outage";
import { addWords } from "#/i18n";
import words from "#/i18n/en/frame.json";
import { StorageNotice } from "./storage-notice";

addWords(words);
let tell: (message: object) => void = () => {};
vi.mock("#/api/hooks", async (original) => ({
  ...(await original<typeof import("#/api/hooks")>()),
  useLive: (_: string, handler: (message: object) => void) => {
    tell = handler;
  },
  useLiveState: () => "open",
}));

const serving = { state: "serving", trouble: null };
const away = { state: "away", trouble: "The database does not answer. Nothing can be read." };
let answer: () => Promise<Response>;
const busy = async () =>
  Response.json(
    { type: "/problems/unavailable", detail: "The database is busy. Try again soon." },
    { status: 503 },
  );
let stop = () => {};

beforeEach(() => {
  answer = async () => Response.json(serving);
  vi.stubGlobal("fetch", () => answer());
});
afterEach(() => {
  stop();
  act(() => reach.heard());
  vi.unstubAllGlobals();
});

function show() {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  stop = watchOutages(client);
  render(
    <QueryClientProvider client={client}>
      <StorageNotice />
    </QueryClientProvider>,
  );
}
const bar = () => screen.getByRole("alert").textContent ?? "";

it("keeps to what the server found, whatever single requests ran into", async () => {
  answer = async () => Response.json(away);
  show();
  await screen.findByText("The database does not answer.");
  answer = busy;
  act(() => tell({ type: "resync" }));
  await act(() => new Promise((resolve) => setTimeout(resolve, 50)));
  expect(bar()).toBe(away.trouble);
});

it("says each thing once, and first what is wrong", async () => {
  const replaced = "The data folder was replaced while the server was running. Put it back.";
  const [full, hint] = [
    "Nothing can be saved, because the disk is full.",
    "What is stored can still be read.",
  ];
  for (const [state, trouble, title] of [
    ["away", away.trouble, "The database does not answer."],
    ["full", `${full} ${hint}`, full],
    ["replaced", replaced, "The data folder was replaced while the server was running."],
    ["refusing", "Nothing can be saved.", "Nothing can be saved."],
  ]) {
    answer = async () => Response.json({ state, trouble });
    show();
    expect((await screen.findByText(title as string)).tagName).toBe("STRONG");
    expect(bar().trim()).toBe(trouble);
    cleanup();
  }
});

it("says one thing where the server could not even be asked, and goes by itself", async () => {
  answer = busy;
  show();
  await screen.findByText("The server cannot read its database, so changes are not saved.");
  expect(bar()).not.toContain("busy");
  answer = async () => Response.json(serving);
  await vi.waitFor(() => expect(bar()).toBe(""), { timeout: 5_000 });
});

it("says nothing of the database while the server itself is away", async () => {
  answer = async () => Response.json(away);
  show();
  await screen.findByText("The database does not answer.");
  answer = () => Promise.reject(new TypeError("refused"));
  await act(() => reach.doubt());
  expect(bar()).toBe("");
});
