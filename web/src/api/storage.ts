/** What this client knows about the database. Owns the one query of it, which the bar above the pages keeps current. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { http, take } from "./client";
import { useAwaySince } from "./hooks";
import { isOutage } from "./outage";
import type { Storage } from "./schema";

export const storageQuery = queryOptions({
  queryKey: ["storage"],
  queryFn: () => take(http.GET("/api/v1/storage")),
});

/** `text`: what the server says about it. Null when the server could not even be asked. */
export interface StorageTrouble {
  state: Storage["state"] | "unreadable";
  text: string | null;
}

/**
 * The text is always of one source. A refused read is no second one: it says what one request ran into, such as a busy database,
 * while the server has already found that the database is away.
 */
function troubleOf(told: Storage | undefined, refused: boolean): StorageTrouble | null {
  if (told?.trouble) return { state: told.state, text: told.trouble };
  return refused ? { state: "unreadable", text: null } : null;
}

/** Null while the database works, and while the server itself is away: then nobody knows. */
export function useStorageTrouble(): StorageTrouble | null {
  const { data, error } = useQuery(storageQuery);
  const away = useAwaySince() !== null;
  return away ? null : troubleOf(data, isOutage(error));
}
