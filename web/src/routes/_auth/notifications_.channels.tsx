import { createFileRoute } from "@tanstack/react-router";
import { ChannelsPage } from "#/features/notifications/channels-page";
import type { ListSearch } from "#/features/notifications/list-page";
import { useGo } from "../-go";
import { id, oneOf, sortOf, text } from "../-search";

const sorts = ["name", "kind", "created_at"];

export const Route = createFileRoute("/_auth/notifications_/channels")({
  staticData: { needs: "notifications:read" },
  validateSearch: (search: Record<string, unknown>): ListSearch => ({
    q: text(search.q),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: id(search.selected),
    panel: oneOf(search.panel, ["new"]),
  }),
  component: Channels,
});

function Channels() {
  const go = useGo<ListSearch>("/notifications/channels");
  return <ChannelsPage search={Route.useSearch()} go={go} />;
}
