import { createFileRoute } from "@tanstack/react-router";
import { ChannelsPage } from "#/features/notifications/channels-page";
import type { ListSearch } from "#/features/notifications/list-page";
import { useGo } from "../-go";
import { sortOf, text } from "../-search";

const sorts = ["name", "kind", "created_at"];

export const Route = createFileRoute("/_auth/notifications_/channels")({
  staticData: { needs: "notifications:read" },
  validateSearch: (search: Record<string, unknown>): ListSearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    sort: sortOf(search.sort, sorts, "name"),
    view: text(search.view),
    selected: typeof search.selected === "string" ? search.selected : undefined,
    panel: search.panel === "new" ? "new" : undefined,
  }),
  component: Channels,
});

function Channels() {
  const go = useGo<ListSearch>("/notifications/channels");
  return <ChannelsPage search={Route.useSearch()} go={go} />;
}
