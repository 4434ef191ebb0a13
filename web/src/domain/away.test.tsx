import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { reach } from "#/api/client";
import { SkeletonLines } from "#/ui/feedback";
import { StatusMark, StatusSign } from "./asset";
import { AwayNotice } from "./away";

afterEach(() => {
  cleanup();
  act(() => reach.heard());
  vi.unstubAllGlobals();
});

it("says that the server is away, takes states back, and goes by itself", async () => {
  render(
    <>
      <AwayNotice />
      <StatusMark status="up" withText />
      <StatusMark status="maintenance" withText />
      <StatusSign status="degraded" withText />
      <SkeletonLines />
    </>,
  );
  expect(screen.getByText("Up")).toBeTruthy();
  expect(screen.queryByText(/has not answered/)).toBeNull();

  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("refused")));
  await act(() => reach.doubt());
  const time = new Date(reach.awaySince() ?? 0).toLocaleTimeString(undefined, { timeStyle: "short" });
  expect(screen.getByText(`The server has not answered since ${time}.`)).toBeTruthy();
  expect(screen.queryByText("Up")).toBeNull();
  expect(screen.getByTitle("Unknown. The status was “Up” when the server last answered.")).toBeTruthy();
  // A person said it, and a legend explains it.
  expect(screen.getByText("Maintenance")).toBeTruthy();
  expect(screen.getByText("Degraded")).toBeTruthy();
  expect(screen.getByText(/so this cannot be loaded/)).toBeTruthy();

  act(() => reach.heard());
  expect(screen.queryByText(/has not answered/)).toBeNull();
  expect(screen.getByText("The server is back.")).toBeTruthy();
  expect(screen.getByText("Up")).toBeTruthy();
});
