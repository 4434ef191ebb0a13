import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";
import type { AuditAction } from "#/api/schema";

/** What the log is narrowed to; the same for the list and for the export. */
export interface AuditFilter {
  q?: string;
  action?: AuditAction;
  /** Entries about this thing. */
  entity?: string;
  /** `seq` for the oldest first; the newest come first without it. */
  sort?: string;
}

const asked = ({ q, action, entity }: AuditFilter) => ({
  ...(q ? { q } : {}),
  ...(action ? { action } : {}),
  ...(entity ? { entity_id: entity } : {}),
});

export const auditPage = (filter: AuditFilter, cursor?: string) =>
  take(
    http.GET("/api/v1/audit-log", {
      params: { query: { limit: PAGE_SIZE, cursor, sort: filter.sort, ...asked(filter) } },
    }),
  );

export const auditQuery = (filter: AuditFilter) =>
  pagedQuery(["audit", asked(filter), filter.sort ?? ""], (cursor) => auditPage(filter, cursor));

/** Read again with the list: an entry tells what has happened. */
export const standingQuery = queryOptions({
  queryKey: ["audit", "standing"],
  queryFn: () => take(http.GET("/api/v1/audit-log/standing")),
});

/** A download by the browser itself: the server streams it, however long the log is. */
export function exportHref(filter: AuditFilter): string {
  const query = new URLSearchParams(asked(filter)).toString();
  return `/api/v1/audit-log/export${query ? `?${query}` : ""}`;
}

export const CHECKPOINTS_HREF = "/api/v1/audit-log/checkpoints";
