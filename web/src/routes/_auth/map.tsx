import { createFileRoute } from "@tanstack/react-router";
import { AssetPanel } from "#/features/inventory/asset-panel";
import { MapPage, type MapSearch } from "#/features/map/page";
import { beginMap } from "#/features/map/source";
import { useGo } from "../-go";
import { id, oneOf, text } from "../-search";

export const Route = createFileRoute("/_auth/map")({
  staticData: { needs: "inventory:read" },
  validateSearch: (search: Record<string, unknown>): MapSearch => ({
    selected: id(search.selected),
    view: oneOf(search.view, ["list"]),
    q: text(search.q),
  }),
  // Not waited for: the page's code, the frame and the map come side by side.
  loader: ({ context, cause }) => {
    if (cause === "enter") beginMap(context.queryClient);
  },
  component: MapRoute,
});

function MapRoute() {
  const go = useGo<MapSearch>("/map");
  return (
    <MapPage
      search={Route.useSearch()}
      go={go}
      panel={(id, actions, onClose, onOpen) => (
        <AssetPanel key={id} id={id} actions={actions} onClose={onClose} onOpen={onOpen} />
      )}
    />
  );
}
