import { createFileRoute } from "@tanstack/react-router";
import type { ListSearch } from "#/features/notifications/list-page";
import { WebhooksPage } from "#/features/notifications/webhooks-page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["name", "created_at"];

export const Route = createFileRoute("/_auth/notifications")({
  staticData: { needs: "notifications:read" },
  validateSearch: (search: Record<string, unknown>): ListSearch => ({
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new"]),
  }),
  component: Notifications,
});

function Notifications() {
  const go = useGo<ListSearch>("/notifications");
  return <WebhooksPage search={Route.useSearch()} go={go} />;
}
