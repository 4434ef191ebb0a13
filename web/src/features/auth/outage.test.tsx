import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ApiError } from "#/api/client";
import { OutagePage } from "./outage";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const unreadable = (detail: string) => new ApiError(503, { type: "/problems/unavailable", detail });
const away = new ApiError(0, { detail: "The server cannot be reached." });
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

it("says what is wrong, keeps trying, and opens when the server answers", async () => {
  const ask = vi.fn(() => Promise.reject<unknown>(unreadable("The database is busy.")));
  const onAnswer = vi.fn();
  render(<OutagePage error={away} ask={ask} onAnswer={onAnswer} />);
  screen.getByRole("heading", { name: "Circuit Breaker is not available at the moment" });
  screen.getByText("The server cannot be reached.");
  await pass(1_000);
  expect(ask).toHaveBeenCalledOnce();
  screen.getByText(/^The server is running, but it cannot read its database\./);
  for (let second = 0; second < 60; second++) await pass(1_000);
  // The waits grow to at most 5 seconds, and half of each is left to chance.
  expect(ask.mock.calls.length).toBeGreaterThanOrEqual(12);
  expect(ask.mock.calls.length).toBeLessThanOrEqual(28);
  expect(onAnswer).not.toHaveBeenCalled();
  ask.mockImplementation(async () => ({}));
  await pass(5_000);
  expect(onAnswer).toHaveBeenCalledOnce();
});

it("tries at once when somebody asks for it, and takes a refusal for an answer", async () => {
  const ask = vi.fn(() => Promise.reject<unknown>(new ApiError(401, {})));
  const onAnswer = vi.fn();
  render(<OutagePage error={away} ask={ask} onAnswer={onAnswer} />);
  fireEvent.click(screen.getByRole("button", { name: "Try now" }));
  await pass(0);
  expect(onAnswer).toHaveBeenCalledOnce();
});
