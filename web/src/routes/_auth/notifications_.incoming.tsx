import { createFileRoute } from "@tanstack/react-router";
import { HooksPage } from "#/features/notifications/hooks-page";
import type { ListSearch } from "#/features/notifications/list-page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["name", "created_at"];

export const Route = createFileRoute("/_auth/notifications_/incoming")({
  staticData: { needs: "notifications:read" },
  validateSearch: (search: Record<string, unknown>): ListSearch => ({
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new"]),
  }),
  component: Incoming,
});

function Incoming() {
  const go = useGo<ListSearch>("/notifications/incoming");
  return <HooksPage search={Route.useSearch()} go={go} />;
}
