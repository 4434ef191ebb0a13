import {
  type InfiniteData,
  type QueryClient,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { ApiError, http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery, replaceInPages } from "#/api/pages";
import { scansKey } from "#/api/queries";
import type { AssetKind, Finding, Page, Scan, ScanIn, ScanPlan } from "#/api/schema";
import type { Filter } from "#/domain/filter/grammar";

export type FindingState = "open" | "accepted" | "ignored";

export const findingsKey = ["findings"] as const;
export const findingQuery = (id: string) =>
  queryOptions({
    queryKey: ["finding", id],
    queryFn: () => take(http.GET("/api/v1/findings/{id}", { params: { path: { id } } })),
  });
export type FindingFilter = Pick<Filter, "kind" | "role" | "vendor" | "network" | "port" | "q">;
export const findingsQuery = (state: FindingState, filter: FindingFilter = {}, sort = "address") =>
  pagedQuery([...findingsKey, state, filter, sort], (cursor) =>
    take(
      http.GET("/api/v1/findings", {
        params: { query: { ...filter, state, sort, limit: PAGE_SIZE, cursor } },
      }),
    ),
  );

/** Puts a changed finding into every loaded list; answers whether any list must be fetched again. */
export function applyFinding(client: QueryClient, finding: Finding): boolean {
  client.setQueryData(findingQuery(finding.id).queryKey, (old) => (old ? finding : old));
  let stale = false;
  for (const [key, data] of client.getQueriesData<InfiniteData<Page<Finding>>>({ queryKey: findingsKey })) {
    const belongs = key[1] === finding.state;
    const result = replaceInPages(data, finding);
    if (result.found && belongs) client.setQueryData(key, result.data);
    else if (result.found || belongs) stale = true;
  }
  return stale;
}

function useAfterReview() {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ queryKey: findingsKey });
    void client.invalidateQueries({ queryKey: ["finding"] });
    void client.invalidateQueries({ queryKey: ["assets"] });
    void client.invalidateQueries({ queryKey: ["networks"] });
  };
}

export function useAccept() {
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string; name?: string; kind?: AssetKind }) =>
      take(http.POST("/api/v1/findings/{id}/accept", { params: { path: { id } }, body })),
    onSuccess: useAfterReview(),
  });
}

export function useAcceptMany() {
  return useMutation({
    mutationFn: (ids: string[]) => take(http.POST("/api/v1/findings/accept", { body: { ids } })),
    onSettled: useAfterReview(),
  });
}

export function useIgnore() {
  return useMutation({
    mutationFn: (id: string) => take(http.POST("/api/v1/findings/{id}/ignore", { params: { path: { id } } })),
    onSuccess: useAfterReview(),
  });
}

export function useReopen() {
  return useMutation({
    mutationFn: (id: string) => take(http.POST("/api/v1/findings/{id}/reopen", { params: { path: { id } } })),
    onSuccess: useAfterReview(),
  });
}

export function useStartScan() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (body: Pick<ScanIn, "targets" | "probes">) => {
      const answer = await take(http.POST("/api/v1/scans", { body }));
      if (!("id" in answer))
        throw new ApiError(0, { detail: "The server answered a plan instead of a scan." });
      return answer as Scan;
    },
    onSuccess: () => client.invalidateQueries({ queryKey: scansKey }),
  });
}

export function useScanPlan() {
  return useMutation({
    mutationFn: async (body: Pick<ScanIn, "targets" | "probes">) => {
      const answer = await take(http.POST("/api/v1/scans", { body: { ...body, dry_run: true } }));
      return answer as unknown as ScanPlan;
    },
  });
}

export function useCancelScan() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => take(http.POST("/api/v1/scans/{id}/cancel", { params: { path: { id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: scansKey }),
  });
}
