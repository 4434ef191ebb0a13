/**
 * Reads that failed because the server or its database could not answer. Owns: reading them again. What is on the screen is read
 * again with growing waits until it comes, so that nobody has to press a button. While the server itself is away, `reach` waits for
 * it, and the reads go on when it is back.
 */
import type { Query, QueryClient } from "@tanstack/react-query";
import { ApiError } from "./client";
import { retryWait } from "./reach";

/** The server looks for its database every second and refuses at once meanwhile, so a try costs little. */
export const OUTAGE_WAIT_MAX_MS = 5_000;

export function isOutage(error: unknown): boolean {
  return error instanceof ApiError && error.outage;
}

const failed = {
  type: "active",
  predicate: ({ state }: Query) => state.status === "error" && isOutage(state.error),
} as const;

/** Reads again now, such as when the server says that its database is back. */
export async function readAgain(client: QueryClient): Promise<void> {
  await client.refetchQueries(failed);
}

/** Watches all reads until the answer is called. */
export function watchOutages(client: QueryClient, random: () => number = Math.random): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  const cache = client.getQueryCache();
  const arm = () => {
    timer ??= setTimeout(() => void again(), retryWait(attempt++, random, OUTAGE_WAIT_MAX_MS));
  };
  async function again(): Promise<void> {
    await readAgain(client);
    timer = undefined;
    if (cache.findAll(failed).length > 0) arm();
    else attempt = 0;
  }
  const stop = cache.subscribe((event) => {
    if (event.type === "updated" && event.action.type === "error" && isOutage(event.action.error)) arm();
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}
