import {
  type InfiniteData,
  type QueryClient,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { ApiError, http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery, replaceInPages } from "#/api/pages";
import { scansKey, waitingKey } from "#/api/queries";
import type {
  AssetKind,
  Finding,
  FindingGrouping,
  Page,
  ReviewDone,
  Scan,
  ScanIn,
  ScanPlan,
} from "#/api/schema";
import type { Filter } from "#/domain/filter/grammar";

export type FindingState = "open" | "accepted" | "ignored";
/** What the page groups by. */
export const groupings = ["network", "kind", "role"] as const satisfies readonly FindingGrouping[];
export type Grouping = (typeof groupings)[number];

const findingsKey = ["findings"] as const;
const groupsKey = ["finding-groups"] as const;
export const findingQuery = (id: string) =>
  queryOptions({
    queryKey: ["finding", id],
    queryFn: () => take(http.GET("/api/v1/findings/{id}", { params: { path: { id } } })),
  });
export type FindingFilter = Omit<Filter, "status"> & {
  scan_id?: string;
};
export const findingsQuery = (state: FindingState, filter: FindingFilter = {}, sort = "address") =>
  pagedQuery([...findingsKey, state, filter, sort], (cursor) =>
    take(
      http.GET("/api/v1/findings", {
        params: { query: { ...filter, state, sort, limit: PAGE_SIZE, cursor } },
      }),
    ),
  );
export const groupsQuery = (state: FindingState, filter: FindingFilter, by: Grouping) =>
  queryOptions({
    queryKey: [...groupsKey, state, filter, by],
    queryFn: () => take(http.GET("/api/v1/findings/groups", { params: { query: { ...filter, state, by } } })),
  });

/** The group of a finding, as the server makes it. */
export function groupOf({ proposal }: Finding, by: Grouping): string {
  if (by === "network") return proposal.addresses[0]?.network ?? "";
  return (by === "kind" ? proposal.kind : proposal.role) ?? "";
}

/**
 * The rows of each group one after another, the groups as they come. The server has them in this order; but the list may still be of
 * the order before, and a finding may have changed where it stands.
 */
export function gathered(rows: readonly Finding[], by: Grouping): Finding[] {
  const groups = new Map<string, Finding[]>();
  for (const row of rows) {
    const group = groupOf(row, by);
    const before = groups.get(group);
    if (before) before.push(row);
    else groups.set(group, [row]);
  }
  return [...groups.values()].flat();
}

/** A finding that a list holds, so that its panel need not wait. */
export function findingInLists(client: QueryClient, id: string): Finding | undefined {
  for (const [, data] of client.getQueriesData<InfiniteData<Page<Finding>>>({ queryKey: findingsKey }))
    for (const page of data?.pages ?? []) {
      const found = page.items.find((finding) => finding.id === id);
      if (found) return found;
    }
  return undefined;
}

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

export function refreshFindings(client: QueryClient): Promise<unknown> {
  return Promise.all(
    [findingsKey, groupsKey, waitingKey].map((queryKey) => client.invalidateQueries({ queryKey })),
  );
}

/** Which findings: those with these ids, or all that fit a filter, which were `count` when they were counted. */
export type Chosen =
  | { ids: string[] }
  | { filter: FindingFilter & { group_by?: FindingGrouping; group?: string }; count: number };
export type Step =
  | { type: "accept" | "ignore" | "reopen" }
  | { type: "propose"; kind?: AssetKind; role: string | null }
  | { type: "tag"; tags: string[] };

export function sendStep(step: Step, findings: Chosen): Promise<ReviewDone> {
  switch (step.type) {
    case "accept":
      return take(http.POST("/api/v1/findings/accept", { body: findings }));
    case "ignore":
      return take(http.POST("/api/v1/findings/ignore", { body: findings }));
    case "reopen":
      return take(http.POST("/api/v1/findings/reopen", { body: findings }));
    case "propose": {
      const { kind, role } = step;
      return take(http.POST("/api/v1/findings/propose", { body: { findings, kind, role } }));
    }
    case "tag":
      return take(http.POST("/api/v1/findings/tag", { body: { findings, tags: step.tags } }));
  }
}

export function acceptOne(
  id: string,
  body: { name?: string; kind?: AssetKind; role?: string | null },
): Promise<Finding> {
  const accepted = take(http.POST("/api/v1/findings/{id}/accept", { params: { path: { id } }, body }));
  return accepted.then(({ finding }) => finding);
}

export const scanQuery = (id: string) =>
  queryOptions({
    queryKey: ["scan", id],
    queryFn: () => take(http.GET("/api/v1/scans/{id}", { params: { path: { id } } })),
  });

type Asked = Pick<ScanIn, "targets" | "probes" | "site">;

export function useStartScan() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (body: Asked) => {
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
    mutationFn: async (body: Asked) => {
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
