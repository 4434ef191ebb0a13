import "./styles.css";
import "./i18n";
import "./ui/theme";
import { onlineManager, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import {
  type AnyRoute,
  createRouter,
  type ErrorComponentProps,
  type RouteComponent,
  RouterProvider,
} from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError, onSessionAlive, onSessionEnd, reach, setCsrfToken } from "./api/client";
import { live } from "./api/live";
import { isOutage, watchOutages } from "./api/outage";
import { meQuery, setEnded, setupQuery, useIsInside } from "./api/session";
import { mayBeAsked } from "./domain/deletion";
import { OutagePage } from "./features/auth/outage";
import { AuthShell } from "./features/auth/shell";
import { useTranslation } from "./i18n";
import { routeTree } from "./routeTree.gen";
import { ErrorBox } from "./ui/feedback";
import { endLoses } from "./ui/guard";
import { fetchWhileIdle, isMissingCode, MissingCode } from "./ui/later";

// Parts that add a <style> at run time (the dialog's scroll lock) must carry the nonce of this page.
const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce;
if (nonce) setNonce(nonce);

const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      // What the server refused stays refused; only a lost connection is worth two more tries.
      retry: (failures, error) => failures < 2 && error instanceof ApiError && error.status === 0,
      refetchOnWindowFocus: false,
      enabled: mayBeAsked,
      refetchOnReconnect: "always",
    },
    // A change is sent now or not at all. It must not go out by itself later.
    mutations: { networkMode: "always" },
  },
});

// While the server is away, reads wait. When it is back, what is on the screen is read again, and the rest when it is shown.
onlineManager.setEventListener(() => undefined);
reach.watch(() => {
  const here = reach.awaySince() === null;
  if (here) void queryClient.invalidateQueries({ refetchType: "none" });
  onlineManager.setOnline(here);
});
watchOutages(queryClient);

/** In place of a page, inside the frame where that is there. */
function PageError({ error, reset }: ErrorComponentProps) {
  const { t } = useTranslation();
  const inside = useIsInside();
  const again = () => {
    reset();
    void router.invalidate();
  };
  if (isMissingCode(error))
    return (
      <MissingCode
        page
        retry={async () => {
          await Promise.all(router.state.matches.map(({ routeId }) => fetchPage(routeId)));
          reset();
        }}
      />
    );
  const box = <ErrorBox error={error} retry={again} />;
  if (inside) return <div className="p-4">{box}</div>;
  if (!isOutage(error)) return <AuthShell title={t("error.title")}>{box}</AuthShell>;
  // The gate asks who is there, and the public pages ask whether there is anybody yet.
  const gate = router.state.matches.some(({ routeId }) => routeId === "/_auth");
  const ask = () => (gate ? queryClient.fetchQuery(meQuery) : queryClient.fetchQuery(setupQuery));
  return <OutagePage error={error} ask={ask} onAnswer={again} />;
}

const router = createRouter({
  routeTree,
  context: { queryClient },
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultErrorComponent: PageError,
});
declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

onSessionEnd((reason) => {
  const { location, matches } = router.state;
  const inside = matches.some((match) => match.routeId.startsWith("/_auth"));
  setCsrfToken("");
  // The page stays with what was typed in it, and asks to sign in beside it.
  if (inside && reason === "unauthenticated" && endLoses()) return setEnded(true);
  queryClient.removeQueries({ queryKey: meQuery.queryKey });
  if (reason === "setup_required") void router.navigate({ to: "/setup" });
  // The public pages need no session and keep what is being typed.
  else if (inside) void router.navigate({ to: "/login", search: { next: location.href } });
});

onSessionAlive((me) => {
  const before = queryClient.getQueryData(meQuery.queryKey);
  queryClient.setQueryData(meQuery.queryKey, me);
  setEnded(false);
  for (const topic of Object.values(live)) topic.revive();
  // Another tab has signed in as somebody else: nothing of the one before may stay.
  if (before && before.user.id !== me.user.id)
    void queryClient.resetQueries({ predicate: (query) => query.queryKey[0] !== meQuery.queryKey[0] });
  // What was asked for under the old id got no answer.
  else void queryClient.refetchQueries({ predicate: (query) => query.state.status === "error" });
});

/** Fetches the code of a page. The router's own way swallows a failure, and shows it when the page is drawn. */
async function fetchPage(routeId: string): Promise<void> {
  const route = router.routesById[routeId as keyof typeof router.routesById] as AnyRoute | undefined;
  const component = route?.options.component as
    | (RouteComponent & { preload?: () => Promise<void> })
    | undefined;
  await component?.preload?.();
  // What has come needs no fetching.
  if (component?.preload) throw new Error(`The code of ${routeId} did not come.`);
}

// The code of the page is fetched while the gate asks who is there. What fails here is tried again by the router.
for (const { routeId } of router.matchRoutes(router.latestLocation)) fetchPage(routeId).catch(() => {});

// The code of the other pages, once somebody is in and the first page is drawn.
const stop = router.subscribe("onRendered", () => {
  if (!router.state.matches.some(({ routeId }) => routeId === "/_auth")) return;
  stop();
  const inside = Object.keys(router.routesById).filter((routeId) => routeId.startsWith("/_auth/"));
  fetchWhileIdle(inside.map((routeId) => () => fetchPage(routeId)));
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
