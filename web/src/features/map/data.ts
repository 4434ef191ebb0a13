/** The model, kept true by the stream; and the places, kept still by the layout. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { http } from "#/api/client";
import { useLive } from "#/api/hooks";
import { useHidden } from "#/domain/removal";
import { type Group, groupNodes } from "./group";
import { isHub, type LayoutOutput, layout, type Place } from "./layout";
import { LayoutClient } from "./layout-client";
import { applyDeltas, isPinned, type MapDelta, type MapModel } from "./model";
import { hear, mapKey, mapQuery, pageListens } from "./source";

/** So many are placed in a few milliseconds, sooner than a worker has started. */
const PLACED_HERE = 2_000;

export function useMapModel() {
  const client = useQueryClient();
  const query = useQuery(mapQuery);
  const hidden = useHidden();

  useLive("topology", (message) => hear(client, message));
  useEffect(pageListens, []);

  const model = useMemo(() => {
    if (!query.data || hidden.size === 0) return query.data;
    const deltas: MapDelta[] = [];
    for (const id of hidden) {
      if (query.data.nodes.has(id)) deltas.push({ type: "node_removed", data: { id } });
      else if (query.data.links.has(id)) deltas.push({ type: "link_removed", data: { id } });
    }
    return deltas.length > 0 ? applyDeltas(query.data, deltas) : query.data;
  }, [query.data, hidden]);
  return { ...query, model };
}

export interface Placed {
  model: MapModel;
  groups: Group[];
  places: ReadonlyMap<string, Place>;
}

/** Gives every node a place. What has one keeps it; the rest is asked of the worker. */
export function usePlaces(model: MapModel | undefined): Placed | null {
  const [placed, setPlaced] = useState<Placed | null>(null);
  const places = useRef(new Map<string, Place>());
  const pinned = useRef(new Set<string>());
  const latest = useRef<{ model: MapModel; groups: Group[] } | null>(null);
  const client = useRef<LayoutClient | null>(null);

  const settle = useCallback((answer: LayoutOutput) => {
    for (const [id, place] of Object.entries(answer))
      if (!places.current.has(id)) places.current.set(id, place);
    if (latest.current) setPlaced({ ...latest.current, places: new Map(places.current) });
  }, []);
  useEffect(
    () => () => {
      client.current?.close();
      client.current = null;
    },
    [],
  );

  // Before the browser paints: the picture may come in the same frame as the page.
  useLayoutEffect(() => {
    if (!model) return;
    const groups = groupNodes(model);
    latest.current = { model, groups };
    for (const id of places.current.keys()) if (!model.nodes.has(id)) places.current.delete(id);
    let lacking = false;
    for (const node of model.nodes.values()) {
      if (isPinned(node)) {
        places.current.set(node.id, { x: node.x, y: node.y });
        pinned.current.add(node.id);
      } else if (pinned.current.delete(node.id)) {
        // Unpinned by a person: back to the seat that the layout has for it.
        places.current.delete(node.id);
      }
      if (!places.current.has(node.id)) lacking = true;
    }
    if (lacking) {
      const input = {
        groups: groups.map((group) => ({
          id: group.id,
          members: group.members.map((node) => ({ id: node.id, hub: isHub(node.role) })),
        })),
        fixed: Object.fromEntries(places.current),
      };
      client.current ??= model.nodes.size > PLACED_HERE ? new LayoutClient(settle) : null;
      if (client.current) client.current.ask(input);
      else settle(layout(input));
    } else setPlaced({ model, groups, places: new Map(places.current) });
  }, [model, settle]);
  return placed;
}

export function usePin() {
  const client = useQueryClient();
  const set = useCallback(
    (id: string, place: Place | null) =>
      client.setQueryData<MapModel>(mapKey, (old) => {
        const node = old?.nodes.get(id);
        if (!old || !node) return old;
        const nodes = new Map(old.nodes).set(id, { ...node, x: place?.x ?? null, y: place?.y ?? null });
        return { ...old, nodes };
      }),
    [client],
  );
  const pin = useMutation({
    mutationFn: ({ id, place }: { id: string; place: Place }) =>
      http.PUT("/api/v1/map/positions", { body: { positions: [{ asset_id: id, x: place.x, y: place.y }] } }),
    onMutate: ({ id, place }) => void set(id, place),
    onError: () => void client.invalidateQueries({ queryKey: mapKey }),
  });
  const unpin = useMutation({
    mutationFn: (id: string) =>
      http.DELETE("/api/v1/map/positions/{asset_id}", { params: { path: { asset_id: id } } }),
    onSuccess: (_, id) => void set(id, null),
  });
  return { pin, unpin };
}
