import { createFileRoute } from "@tanstack/react-router";
import type { ListSearch } from "#/features/notifications/list-page";
import { WebhooksPage } from "#/features/notifications/webhooks-page";
import { useGo } from "../-go";
import { sortOf, text } from "../-search";

const sorts = ["name", "created_at"];

export const Route = createFileRoute("/_auth/notifications")({
  staticData: { needs: "notifications:read" },
  validateSearch: (search: Record<string, unknown>): ListSearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: typeof search.selected === "string" ? search.selected : undefined,
    panel: search.panel === "new" ? "new" : undefined,
  }),
  component: Notifications,
});

function Notifications() {
  const go = useGo<ListSearch>("/notifications");
  return <WebhooksPage search={Route.useSearch()} go={go} />;
}
