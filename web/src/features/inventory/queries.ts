import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http, ifMatch, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";
import type { Asset, AssetKind, AssetStatus, LinkKind } from "#/api/schema";
import type { Filter } from "#/domain/filter/grammar";
import { inTurns } from "#/domain/removal";

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

export function useAddTags() {
  const done = useInvalidate();
  return useMutation({
    mutationFn: async ({ assets, tags }: { assets: readonly Asset[]; tags: readonly string[] }) => {
      const lacking = assets.filter((asset) => tags.some((tag) => !asset.tags.some((has) => has.id === tag)));
      const errors = await inTurns(lacking, (asset) =>
        take(
          http.PATCH("/api/v1/assets/{id}", {
            params: { path: { id: asset.id } },
            headers: ifMatch(asset.version),
            body: { tags: [...new Set([...asset.tags.map((has) => has.id), ...tags])] },
          }),
        ),
      );
      if (errors[0]) throw errors[0];
      return lacking.length;
    },
    onSettled: done,
  });
}

export function useCreateTag() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { name: string; color: string }) => take(http.POST("/api/v1/tags", { body })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["tags"] }),
  });
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
