import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";

export const totpQuery = queryOptions({
  queryKey: ["account", "totp"],
  queryFn: () => take(http.GET("/api/v1/auth/totp")),
});

export const sessionsQuery = queryOptions({
  queryKey: ["account", "sessions"],
  queryFn: () => take(http.GET("/api/v1/auth/sessions")),
});

export const tokensQuery = queryOptions({
  queryKey: ["account", "tokens"],
  queryFn: () => take(http.GET("/api/v1/tokens")),
});

export const passkeysQuery = queryOptions({
  queryKey: ["account", "passkeys"],
  queryFn: () => take(http.GET("/api/v1/auth/passkeys")),
});

export const identitiesQuery = queryOptions({
  queryKey: ["account", "identities"],
  queryFn: () => take(http.GET("/api/v1/auth/identities")),
});
