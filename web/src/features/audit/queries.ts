import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";

/** What the log is narrowed to; the same for the list and for the export. */
export interface AuditFilter {
  q?: string;
  action?: string;
  /** Entries about this thing. */
  entity?: string;
}

const asked = ({ q, action, entity }: AuditFilter) => ({
  ...(q ? { q } : {}),
  ...(action ? { action } : {}),
  ...(entity ? { entity_id: entity } : {}),
});

export const auditPage = (filter: AuditFilter, cursor?: string) =>
  take(http.GET("/api/v1/audit-log", { params: { query: { limit: PAGE_SIZE, cursor, ...asked(filter) } } }));

export const auditQuery = (filter: AuditFilter) =>
  pagedQuery(["audit", asked(filter)], (cursor) => auditPage(filter, cursor));

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
