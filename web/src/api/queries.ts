/** The reads that more than one feature shares. What only one feature reads stands in that feature. */
import { type QueryClient, queryOptions } from "@tanstack/react-query";
import { http, take } from "./client";
import { pagedQuery } from "./pages";
import type { CredentialKind, Network, Scan } from "./schema";

export const assetQuery = (id: string) =>
  queryOptions({
    queryKey: ["assets", "one", id],
    queryFn: () => take(http.GET("/api/v1/assets/{id}", { params: { path: { id } } })),
  });

export const tagsQuery = queryOptions({
  queryKey: ["tags"],
  queryFn: async () =>
    (await take(http.GET("/api/v1/tags", { params: { query: { limit: 500, sort: "name" } } }))).items,
});

/** Far more pages of networks than anybody has. */
const NETWORK_PAGES_MOST = 20;

/** All of them: the filter language names them, and their page sorts them. */
export const networksQuery = queryOptions({
  queryKey: ["networks"],
  queryFn: async () => {
    const all: Network[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < NETWORK_PAGES_MOST; page++) {
      const { items, next_cursor } = await take(
        http.GET("/api/v1/networks", { params: { query: { limit: 500, cursor } } }),
      );
      all.push(...items);
      if (!next_cursor) break;
      cursor = next_cursor;
    }
    return all;
  },
});

/** One, with its conflicts. */
export const networkQuery = (id: string) =>
  queryOptions({
    queryKey: ["networks", "one", id],
    queryFn: () => take(http.GET("/api/v1/networks/{id}", { params: { path: { id } } })),
  });

/** For a form that names one. */
export const credentialsOfKindQuery = (kind: CredentialKind) =>
  queryOptions({
    queryKey: ["credentials", "kind", kind],
    queryFn: async () =>
      (await take(http.GET("/api/v1/credentials", { params: { query: { limit: 500, kind } } }))).items,
  });

export const settingsQuery = queryOptions({
  queryKey: ["settings"],
  queryFn: () => take(http.GET("/api/v1/settings")),
});

export const vaultQuery = queryOptions({
  queryKey: ["vault"],
  queryFn: () => take(http.GET("/api/v1/vault")),
});

/** Makes a new key for the vault, and puts what the server says of it where pages read it. */
export async function rotateVaultKey(client: QueryClient): Promise<void> {
  client.setQueryData(vaultQuery.queryKey, await take(http.POST("/api/v1/vault/rotate")));
  void client.invalidateQueries({ queryKey: settingsQuery.queryKey });
}

/** All that the page Operations reads. */
export const operationsKey = ["operations"] as const;

export const operationsQuery = queryOptions({
  queryKey: [...operationsKey, "servers"],
  queryFn: () => take(http.GET("/api/v1/operations")),
  // What was degraded when somebody last looked may be mended, and the other way round.
  refetchOnMount: "always",
  refetchInterval: 10_000,
});

export const periodicQuery = queryOptions({
  queryKey: [...operationsKey, "periodic"],
  queryFn: () => take(http.GET("/api/v1/operations/periodic")),
  refetchInterval: 30_000,
});

export const discoveryQuery = queryOptions({
  queryKey: ["discovery"],
  queryFn: () => take(http.GET("/api/v1/discovery")),
});

export const scansKey = ["scans"] as const;
export const scansQuery = pagedQuery(scansKey, (cursor) =>
  take(http.GET("/api/v1/scans", { params: { query: { limit: 25, cursor } } })),
);

export const waitingKey = ["findings-waiting"] as const;
/** How many findings wait for review. */
export const waitingQuery = queryOptions({
  queryKey: waitingKey,
  queryFn: async () =>
    (await take(http.GET("/api/v1/findings", { params: { query: { state: "open", limit: 1 } } }))).total ?? 0,
});

/** The scan that is at work now, or else the one that is next. */
export function currentScan(scans: readonly Scan[] | undefined): Scan | undefined {
  const active = scans?.filter((scan) => isActive(scan.status)) ?? [];
  // Those that wait run in the order in which they came; the list has the newest first.
  return active.find((scan) => scan.status === "running") ?? active.at(-1);
}

export function isActive(status: string): boolean {
  return status === "queued" || status === "running";
}
