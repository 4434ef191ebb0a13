/** Where the map comes from: one answer of the server, kept true by the stream. Small: the route asks before the page is there. */
import { type QueryClient, queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { type LiveMessage, live } from "#/api/live";
import { applyDeltas, type MapDelta, type MapModel, toModel } from "./model";

export const mapKey = ["map"] as const;

/** Deltas that arrived while a fetch was under way: its answer may be older than they are. */
let duringFetch: MapDelta[] | null = null;

export const mapQuery = queryOptions({
  queryKey: mapKey,
  queryFn: async () => {
    duringFetch = [];
    try {
      const model = toModel(await take(http.GET("/api/v1/map")));
      return applyDeltas(model, duringFetch);
    } finally {
      duringFetch = null;
    }
  },
  staleTime: 0,
  // Whoever enters the page has asked already: see `beginMap`.
  refetchOnMount: false,
  structuralSharing: false,
});

let waiting: MapDelta[] = [];

/** What the stream says, into the model. A burst is one change of it, at most once per frame. */
export function hear(client: QueryClient, message: LiveMessage<"topology">): void {
  if (message.type === "resync") {
    // All: the page may not be there yet.
    void client.invalidateQueries({ queryKey: mapKey, refetchType: "all" });
    return;
  }
  duringFetch?.push(message);
  if (waiting.push(message) > 1) return;
  requestAnimationFrame(() => {
    const deltas = waiting;
    waiting = [];
    client.setQueryData<MapModel>(mapKey, (old) => (old ? applyDeltas(old, deltas) : old));
  });
}

/** A page that has not come after so long will not come. */
const EARLY_MS = 15_000;
let stopEarly = () => {};

/** Asks for the map and listens for its changes until the page does so itself: `pageListens`. */
export function beginMap(client: QueryClient): void {
  stopEarly();
  const off = live.topology.subscribe((message) => hear(client, message));
  const timer = setTimeout(off, EARLY_MS);
  stopEarly = () => {
    clearTimeout(timer);
    off();
    stopEarly = () => {};
  };
  void client.prefetchQuery(mapQuery);
}

export function pageListens(): void {
  stopEarly();
}
