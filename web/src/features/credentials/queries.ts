import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { PAGE_SIZE, pagedQuery } from "#/api/pages";

export const credentialsKey = ["credentials"] as const;

export const kindsQuery = queryOptions({
  queryKey: ["credential-kinds"],
  queryFn: () => take(http.GET("/api/v1/credential-kinds")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const credentialsQuery = (q: string, sort: string) =>
  pagedQuery([...credentialsKey, "list", q, sort], (cursor) =>
    take(
      http.GET("/api/v1/credentials", {
        params: { query: { limit: PAGE_SIZE, cursor, sort, ...(q ? { q } : {}) } },
      }),
    ),
  );

export const credentialQuery = (id: string) =>
  queryOptions({
    queryKey: [...credentialsKey, "one", id],
    queryFn: () => take(http.GET("/api/v1/credentials/{id}", { params: { path: { id } } })),
  });

export const usesQuery = (id: string) =>
  pagedQuery([...credentialsKey, "one", id, "uses"], (cursor) =>
    take(
      http.GET("/api/v1/credentials/{id}/uses", { params: { path: { id }, query: { limit: 20, cursor } } }),
    ),
  );
