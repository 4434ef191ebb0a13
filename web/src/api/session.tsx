/**
 * Who is signed in. There is no switch for authentication here: a session exists or every route but the
 * public ones (/login, /setup, /invite, /reset) redirects. Owns the `me` query and keeps the CSRF token beside it.
 */
import { type QueryClient, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, use, useMemo, useSyncExternalStore } from "react";
import { http, setCsrfToken, signOut, take } from "./client";
import type { Me, Permission, Session } from "./schema";

export type { Permission };

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async () => {
    const me = await take(http.GET("/api/v1/auth/me"));
    setCsrfToken(me.csrf_token);
    return me;
  },
  staleTime: Number.POSITIVE_INFINITY,
  gcTime: Number.POSITIVE_INFINITY,
  retry: false,
  // A page that asks who is there on its way in must get an answer or an error.
  networkMode: "always",
});

export const setupQuery = queryOptions({
  queryKey: ["setup"],
  queryFn: () => take(http.GET("/api/v1/setup")),
  staleTime: 0,
  retry: false,
  networkMode: "always",
});

/** The ways to sign in here, beside a password. */
export const methodsQuery = queryOptions({
  queryKey: ["methods"],
  queryFn: () => take(http.GET("/api/v1/auth/methods")),
});

/** What the page that signs in has asked for, and shows. */
const needsNoSession = new Set<unknown>([setupQuery.queryKey[0], methodsQuery.queryKey[0]]);

/** After login or setup: forget what another user may have left, then learn who this is. */
export async function beginSession(client: QueryClient, session: Session): Promise<void> {
  client.clear();
  setCsrfToken(session.csrf_token);
  await client.fetchQuery(meQuery);
}

/** After an answer that carries on the session under a new id. */
export function continueSession(client: QueryClient, { user, csrf_token }: Session): void {
  setCsrfToken(csrf_token);
  client.setQueryData(meQuery.queryKey, (me) => me && { ...me, user, csrf_token });
  // What can be shown as a proof may have changed, and the session's end.
  void client.refetchQueries({ queryKey: meQuery.queryKey });
}

let ended = false;
const endWatchers = new Set<() => void>();

/** Whether the session has ended on a page that stays, because something typed there would be lost. */
export function setEnded(next: boolean): void {
  ended = next;
  for (const changed of endWatchers) changed();
}

export function useEnded(): boolean {
  return useSyncExternalStore(
    (changed) => {
      endWatchers.add(changed);
      return () => endWatchers.delete(changed);
    },
    () => ended,
  );
}

interface Auth {
  me: Me;
  can(permission: Permission): boolean;
  signOut(): Promise<void>;
}
const AuthContext = createContext<Auth | null>(null);

export function AuthProvider({
  children,
  onSignedOut,
}: {
  children: ReactNode;
  onSignedOut: () => Promise<void>;
}) {
  const client = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const auth = useMemo<Auth | null>(
    () =>
      me
        ? {
            me,
            can: (permission) => me.permissions.includes(permission),
            signOut: () =>
              signOut(async () => {
                try {
                  // A page that is still there would ask again for what is forgotten.
                  await onSignedOut();
                } finally {
                  client.removeQueries({ predicate: ({ queryKey }) => !needsNoSession.has(queryKey[0]) });
                  client.getMutationCache().clear();
                  setCsrfToken("");
                }
              }),
          }
        : null,
    [me, client, onSignedOut],
  );
  if (!auth) return null;
  return <AuthContext value={auth}>{children}</AuthContext>;
}

/** Whether this is drawn inside the frame, which is there only for somebody who is signed in. */
export function useIsInside(): boolean {
  return use(AuthContext) !== null;
}

export function useAuth(): Auth {
  const auth = use(AuthContext);
  if (!auth) throw new Error("useAuth is for pages under _auth");
  return auth;
}
