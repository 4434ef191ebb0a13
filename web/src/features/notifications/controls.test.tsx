import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import type { NotificationTest } from "#/api/schema";
import { addWords } from "#/i18n";
import words from "#/i18n/en/notifications.json";
import { Controls } from "./controls";

addWords(words);

async function tested(result: Partial<NotificationTest>) {
  const whole = {
    delivered: true,
    status: 202,
    took_ms: 3,
    error: null,
    note: null,
    excerpt: null,
    ...result,
  };
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Controls on test={() => Promise.resolve(whole)} turn={() => Promise.resolve()} />
    </QueryClientProvider>,
  );
  fireEvent.click(screen.getByRole("button", { name: "Send a test" }));
  return await screen.findByText(/202/);
}

it("says what there is to know about a test that was taken", async () => {
  await tested({ note: "The receiver has accepted it. Look there whether it has arrived." });
  expect(screen.getByRole("status").textContent).toContain("Look there whether it has arrived");
});

it("says nothing more about a test that has nothing to it", async () => {
  await tested({});
  expect(screen.getByRole("status").querySelectorAll("p")).toHaveLength(2);
});
