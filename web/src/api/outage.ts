/**
 * Reads that failed because the server or its database could not answer. Owns: reading them again. One cheap request asks, with
 * growing waits, whether the server can answer, and then all that is on the screen is read again, so that nobody has to press a
 * button and no message flickers meanwhile. While the server itself is away, `reach` waits for it, and the reads go on when it is back.
 */
import type { Query, QueryClient } from "@tanstack/react-query";
import { ApiError, http, reach } from "./client";
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

/** It needs the database. */
const askWhoIsThere = () => http.GET("/api/v1/auth/me");

/** Watches all reads until what it returns is called. `ask` fails with an outage as long as there is one. */
export function watchOutages(
  client: QueryClient,
  ask: () => Promise<unknown> = askWhoIsThere,
  random: () => number = Math.random,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  const cache = client.getQueryCache();
  const arm = () => {
    timer ??= setTimeout(() => void again(), retryWait(attempt++, random, OUTAGE_WAIT_MAX_MS));
  };
  const left = () => cache.findAll(failed).length > 0;
  async function again(): Promise<void> {
    // Nobody looks, or the server itself is away, and `reach` waits for it.
    if (document.hidden || reach.awaySince() !== null) {
      timer = undefined;
      arm();
      return;
    }
    const lasts = left() && (await ask().then(() => false, isOutage));
    if (!lasts) await readAgain(client);
    timer = undefined;
    if (left()) arm();
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
