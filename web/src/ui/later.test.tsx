import { act, cleanup, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { reach } from "#/api/client";
import { fetchWhileIdle, isMissingCode, Later, later } from "./later";

const Part = ({ name }: { name: string }) => <p>hello {name}</p>;
const reload = vi.fn();
let answer: () => Promise<Response>;

beforeEach(() => {
  reload.mockClear();
  sessionStorage.clear();
  vi.stubGlobal("location", { ...location, reload });
  answer = async () => new Response("{}", { status: 200 });
  vi.stubGlobal("fetch", () => answer());
});
afterEach(() => {
  cleanup();
  act(() => reach.heard());
  vi.unstubAllGlobals();
});

const gone = () => Promise.reject(new TypeError("Failed to fetch dynamically imported module: /assets/x.js"));

it("shows what it waits for, then the part", async () => {
  const part = later(async () => ({ default: Part }));
  render(<Later part={part} fallback={<p>wait</p>} props={{ name: "you" }} />);
  expect(screen.getByText("wait")).toBeTruthy();
  await screen.findByText("hello you");
});

it("says that the code did not come while the server is away, and opens by itself when it is back", async () => {
  let load: () => Promise<{ default: typeof Part }> = gone;
  const part = later(() => load());
  answer = () => Promise.reject(new TypeError("refused"));
  render(<Later part={part} props={{ name: "you" }} />);
  await screen.findByText(/before this part was loaded/);
  expect(reload).not.toHaveBeenCalled();
  load = async () => ({ default: Part });
  act(() => reach.heard());
  await screen.findByText("hello you");
});

it("loads the page anew when the server has other code, once, and offers it after that", async () => {
  const shown = render(<Later part={later<{ name: string }>(gone)} props={{ name: "you" }} />);
  await waitFor(() => expect(reload).toHaveBeenCalledOnce());
  shown.unmount();
  render(<Later part={later<{ name: string }>(gone)} props={{ name: "you" }} />);
  await screen.findByRole("button", { name: "Reload the page" });
  expect(reload).toHaveBeenCalledOnce();
});

it("gives a missing module a name that the router does not reload the page for", () => {
  const payload = new TypeError("Failed to fetch dynamically imported module: /assets/x.js");
  dispatchEvent(Object.assign(new Event("vite:preloadError"), { payload }));
  expect(isMissingCode(payload)).toBe(true);
  expect(payload.message).not.toMatch(/^Failed to fetch/);
  expect(isMissingCode(new TypeError("x is undefined"))).toBe(false);
});

it("fetches the rest while the browser is idle, one after another, and not for whoever saves data", async () => {
  const order: string[] = [];
  const page = (name: string) => async () => {
    order.push(`${name} begins`);
    await Promise.resolve();
    order.push(`${name} ends`);
  };
  vi.stubGlobal("navigator", { ...navigator, connection: { saveData: true } });
  fetchWhileIdle([page("a")]);
  vi.stubGlobal("navigator", { ...navigator, connection: { saveData: false } });
  vi.stubGlobal("requestIdleCallback", (work: () => void) => setTimeout(work));
  fetchWhileIdle([page("b"), page("c")]);
  await waitFor(() => expect(order).toEqual(["b begins", "b ends", "c begins", "c ends"]));
});
