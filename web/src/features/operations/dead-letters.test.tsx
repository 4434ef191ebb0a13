import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { Job } from "#/api/schema";
import { addWords } from "#/i18n";
import words from "#/i18n/en/operations.json";
import { DeadLetters } from "./dead-letters";

addWords(words);

let writes = true;
vi.mock("#/api/session", () => ({ useAuth: () => ({ can: () => writes }) }));

const job: Job = {
  id: "1",
  kind: "scan",
  key: "scan 10.0.0.0/24",
  state: "dead",
  attempts: 3,
  error: "The server stopped, or lost its database, 3 times while this was running, so it gave up",
  created_at: "2026-01-01T00:00:00Z",
  since: "2026-01-01T00:10:00Z",
};

let letters: Job[];
let written: string[];
let refusal: Response | null;

beforeEach(() => {
  refusal = null;
  writes = true;
  letters = [job];
  written = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (request.method !== "GET") {
      written.push(`${request.method} ${pathname}`);
      if (refusal && request.method === "POST") return refusal;
      letters = [];
      return new Response(null, { status: 204 });
    }
    const kinds = [{ kind: "scan", waiting: 2, running: 1, dead: letters.length, due_since: null }];
    const body = pathname.endsWith("job-kinds")
      ? { items: kinds }
      : { items: letters, next_cursor: null, total: letters.length };
    return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
  });
});

function show() {
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <DeadLetters />
    </QueryClientProvider>,
  );
}

it("says what was given up and why, and lets it wait again", async () => {
  show();
  await screen.findByText("Scan: 10.0.0.0/24");
  screen.getByText(job.error ?? "");
  await screen.findByText("Scan: 2 waiting, 1 running, 1 given up.");
  fireEvent.click(screen.getByRole("button", { name: "Retry" }));
  await screen.findByText("The server has not given up any job.");
  expect(written).toEqual(["POST /api/v1/operations/jobs/1/retry"]);
});

it("deletes one only after a question", async () => {
  show();
  fireEvent.click(await screen.findByRole("button", { name: "Delete" }));
  expect(written).toEqual([]);
  await screen.findByText("Delete this job?");
  const buttons = screen.getAllByRole("button", { name: "Delete" });
  fireEvent.click(buttons[buttons.length - 1] as HTMLElement);
  await waitFor(() => expect(screen.queryByText("Delete this job?")).toBeNull());
  expect(written).toEqual(["DELETE /api/v1/operations/jobs/1"]);
  await screen.findByText("The server has not given up any job.");
});

it("offers nothing to those who may only look", async () => {
  writes = false;
  show();
  await screen.findByText("Scan: 10.0.0.0/24");
  expect(screen.queryByRole("button")).toBeNull();
});

const problem = (status: number, detail: string) =>
  Response.json({ detail }, { status, headers: { "Content-Type": "application/problem+json" } });

it("says why a job cannot be retried, and then offers only to delete it", async () => {
  refusal = problem(409, "The scan of this job does not exist any more.");
  show();
  fireEvent.click(await screen.findByRole("button", { name: "Retry" }));
  await screen.findByText("The scan of this job does not exist any more.");
  screen.getByText("If this reason goes away, open this page again to retry the job.");
  expect(screen.queryByRole("button", { name: "Retry" })).toBeNull();
  const remove = screen.getByRole("button", { name: "Delete" });
  expect(document.activeElement).toBe(remove);
});

it("lets somebody retry again what failed for another reason", async () => {
  refusal = problem(500, "The server met a fault.");
  show();
  fireEvent.click(await screen.findByRole("button", { name: "Retry" }));
  await screen.findByText("The server met a fault.");
  screen.getByRole("button", { name: "Retry" });
});
