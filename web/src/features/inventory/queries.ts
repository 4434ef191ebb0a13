import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http, ifMatch, sendOnLeave, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";
import type { Asset, AssetKind, AssetStatus, LinkKind } from "#/api/schema";
import type { Filter } from "#/domain/filter/grammar";

export const assetsQuery = (filter: Filter, sort: string) =>
  pagedQuery(["assets", "list", filter, sort], (cursor) =>
    take(http.GET("/api/v1/assets", { params: { query: { ...filter, sort, limit: PAGE_SIZE, cursor } } })),
  );

export interface AssetInput {
  name: string;
  kind: AssetKind;
  role: string | null;
  vendor: string | null;
  model: string | null;
  os: string | null;
  /** Of a new one. */
  addresses?: string[];
  status: AssetStatus | null;
  notes: string;
  tags: string[];
}

function useInvalidate() {
  const client = useQueryClient();
  return async () => {
    void client.invalidateQueries({ queryKey: ["tags"] });
    void client.invalidateQueries({ queryKey: ["networks"] });
    await client.invalidateQueries({ queryKey: ["assets"] });
  };
}

export function useSaveAsset() {
  return useMutation({
    mutationFn: ({ asset, changes }: { asset?: Asset; changes: Partial<AssetInput> }) =>
      asset
        ? take(
            http.PATCH("/api/v1/assets/{id}", {
              params: { path: { id: asset.id } },
              headers: ifMatch(asset.version),
              body: changes,
            }),
          )
        : take(http.POST("/api/v1/assets", { body: changes as AssetInput })),
    onSuccess: useInvalidate(),
  });
}

/** Which assets: those with these ids, or all that fit a filter, which were `count` when they were counted. */
export type Chosen = { ids: string[] } | { filter: Filter; count: number };
/** Of a request, far below what the server takes. */
const AT_ONCE = 1_000;

function parts(chosen: Chosen): Chosen[] {
  if (!("ids" in chosen)) return [chosen];
  const { ids } = chosen;
  return Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, at) => ({
    ids: ids.slice(at * AT_ONCE, (at + 1) * AT_ONCE),
  }));
}

export async function deleteAssets(chosen: Chosen): Promise<void> {
  for (const body of parts(chosen)) await take(http.POST("/api/v1/assets/delete", { body }));
}

export function deleteAssetsOnLeave(chosen: Chosen): void {
  for (const body of parts(chosen)) sendOnLeave("POST", "/api/v1/assets/delete", body);
}

export function useAddTags() {
  const done = useInvalidate();
  return useMutation({
    mutationFn: async ({ chosen, tags }: { chosen: Chosen; tags: string[] }) => {
      let count = 0;
      for (const assets of parts(chosen))
        count += (await take(http.POST("/api/v1/assets/tag", { body: { assets, tags } }))).count;
      return count;
    },
    onSettled: done,
  });
}

/** Where the server writes the list as CSV: all that fits, in the list's order. */
export function exportAddress(filter: Filter, sort: string, columns: readonly string[]): string {
  const query = new URLSearchParams({ sort, columns: columns.join(",") });
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, String(value));
  return `/api/v1/assets/export?${query}`;
}

export function useSaveInterface(assetId: string) {
  return useMutation({
    mutationFn: ({
      id,
      version,
      ...body
    }: {
      id?: string;
      version?: number;
      name: string;
      mac: string | null;
    }) =>
      id
        ? take(
            http.PATCH("/api/v1/interfaces/{id}", {
              params: { path: { id } },
              headers: ifMatch(version ?? 0),
              body,
            }),
          )
        : take(http.POST("/api/v1/interfaces", { body: { ...body, asset_id: assetId } })),
    onSuccess: useInvalidate(),
  });
}

export function useSaveAddress(assetId: string) {
  return useMutation({
    mutationFn: ({
      id,
      version,
      ...body
    }: {
      id?: string;
      version?: number;
      ip: string;
      hostname: string | null;
      interface_id: string | null;
    }) =>
      id
        ? take(
            http.PATCH("/api/v1/addresses/{id}", {
              params: { path: { id } },
              headers: ifMatch(version ?? 0),
              body,
            }),
          )
        : take(http.POST("/api/v1/addresses", { body: { ...body, asset_id: assetId } })),
    onSuccess: useInvalidate(),
  });
}

export function useDrawLink() {
  return useMutation({
    mutationFn: (body: { a_asset_id: string; b_asset_id: string; kind: LinkKind; label: string | null }) =>
      take(http.POST("/api/v1/links", { body })),
    onSuccess: useInvalidate(),
  });
}
