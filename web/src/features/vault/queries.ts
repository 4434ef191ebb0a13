import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";

export const vaultQuery = queryOptions({
  queryKey: ["vault"],
  queryFn: () => take(http.GET("/api/v1/vault")),
});
