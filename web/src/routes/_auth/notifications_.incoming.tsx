import { createFileRoute } from "@tanstack/react-router";
import { HooksPage, type HooksSearch } from "#/features/notifications/hooks-page";
import { useGo } from "../-go";

const sorts = ["name", "-name", "created_at", "-created_at"];

export const Route = createFileRoute("/_auth/notifications_/incoming")({
  validateSearch: (search: Record<string, unknown>): HooksSearch => ({
    q: search.q === undefined ? undefined : String(search.q),
    sort: sorts.find((sort) => sort === search.sort),
    selected: typeof search.selected === "string" ? search.selected : undefined,
    panel: search.panel === "new" ? "new" : undefined,
  }),
  component: Incoming,
});

function Incoming() {
  const go = useGo<HooksSearch>("/notifications/incoming");
  return <HooksPage search={Route.useSearch()} go={go} />;
}
