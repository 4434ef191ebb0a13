import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";

export const usersKey = ["users"] as const;

export const usersQuery = (q: string, sort: string) =>
  pagedQuery([...usersKey, "list", q, sort], (cursor) =>
    take(
      http.GET("/api/v1/users", {
        params: { query: { limit: PAGE_SIZE, cursor, sort, ...(q ? { q } : {}) } },
      }),
    ),
  );

export const userQuery = (id: string) =>
  queryOptions({
    queryKey: [...usersKey, "one", id],
    queryFn: () => take(http.GET("/api/v1/users/{id}", { params: { path: { id } } })),
  });

export const userSessionsQuery = (id: string) =>
  queryOptions({
    queryKey: [...usersKey, "one", id, "sessions"],
    queryFn: () => take(http.GET("/api/v1/users/{id}/sessions", { params: { path: { id } } })),
  });

export const invitesQuery = queryOptions({
  queryKey: ["invites"],
  queryFn: () => take(http.GET("/api/v1/invites")),
});
