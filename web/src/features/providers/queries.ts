import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";

export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: () => take(http.GET("/api/v1/oidc-providers")),
});
