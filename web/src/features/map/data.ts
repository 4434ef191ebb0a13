/** The model, kept true by the stream; and the places, kept still by the layout. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { http } from "#/api/client";
import { useAwaySince, useLive } from "#/api/hooks";
import { statusWhileAway } from "#/domain/asset";
import { isHub } from "#/domain/icons";
import { useHidden } from "#/domain/removal";
import { type Group, groupNodes } from "./group";
import { History } from "./history";
import { type Place, placeOf, type Seating, settle } from "./layout";
import { recall, remember } from "./memory";
import { applyDeltas, isPinned, type MapDelta, type MapModel, withStatuses } from "./model";
import { hear, mapKey, mapQuery, pageListens } from "./source";

export function useMapModel() {
  const client = useQueryClient();
  const query = useQuery(mapQuery);
  const hidden = useHidden();

  useLive("topology", (message) => hear(client, message));
  useEffect(pageListens, []);

  const away = useAwaySince() !== null;
  const known = useMemo(
    () => (query.data && away ? withStatuses(query.data, statusWhileAway) : query.data),
    [query.data, away],
  );
  const model = useMemo(() => {
    if (!known || hidden.size === 0) return known;
    const deltas: MapDelta[] = [];
    for (const id of hidden) {
      if (known.nodes.has(id)) deltas.push({ type: "node_removed", data: { id } });
      else if (known.links.has(id)) deltas.push({ type: "link_removed", data: { id } });
    }
    return deltas.length > 0 ? applyDeltas(known, deltas) : known;
  }, [known, hidden]);
  return { ...query, model };
}

export interface Placed {
  model: MapModel;
  groups: Group[];
  places: ReadonlyMap<string, Place>;
}

/** A burst of changes is kept once. */
const KEEP_AFTER_MS = 500;

/** Gives every node a place: the one that a person chose, else that of its seat. */
export function usePlaces(model: MapModel | undefined): Placed | null {
  const [placed, setPlaced] = useState<Placed | null>(null);
  const seating = useRef<Seating | null>(null);
  const kept = useRef<Seating | null>(null);
  const latest = useRef(model);

  // Before the browser paints: the picture may come in the same frame as the page.
  useLayoutEffect(() => {
    latest.current = model;
    if (!model) return;
    if (!seating.current) {
      seating.current = recall();
      kept.current = seating.current;
    }
    const groups = groupNodes(model);
    const pinned: Place[] = [];
    for (const node of model.nodes.values()) if (isPinned(node)) pinned.push({ x: node.x, y: node.y });
    const seats = settle(
      groups.map((group) => ({
        id: group.id,
        members: group.members.map((node) => ({ id: node.id, hub: isHub(node.role) })),
      })),
      seating.current,
      pinned,
    );
    seating.current = seats;
    const places = new Map<string, Place>();
    for (const node of model.nodes.values()) {
      const seat = seats.seats.get(node.id);
      if (isPinned(node)) places.set(node.id, { x: node.x, y: node.y });
      else if (seat) places.set(node.id, placeOf(seat));
    }
    setPlaced({ model, groups, places });
  }, [model]);

  useEffect(() => {
    const keep = () => {
      const { current } = latest;
      if (!placed || !seating.current || !current || kept.current === seating.current) return;
      kept.current = seating.current;
      remember(seating.current, (id) => current.nodes.has(id));
    };
    const timer = setTimeout(keep, KEEP_AFTER_MS);
    addEventListener("pagehide", keep);
    return () => {
      clearTimeout(timer);
      removeEventListener("pagehide", keep);
    };
  }, [placed]);
  return placed;
}

/** Changes of places are saved one after another, in the order in which they were made. */
const IN_TURN = { id: "map-places" };

/** Puts nodes to places of their own and back to their seats, and takes both back. `failed`: what could not be saved was taken back. */
export function usePlacing(failed: () => void) {
  const client = useQueryClient();
  const history = useRef(new History<Placing>());
  const placeNow = useCallback(
    (id: string): Place | null => {
      const node = client.getQueryData<MapModel>(mapKey)?.nodes.get(id);
      return node && isPinned(node) ? { x: node.x, y: node.y } : null;
    },
    [client],
  );
  const { mutate, isPending } = useMutation({
    scope: IN_TURN,
    mutationFn: ({ id, to }: Placing) =>
      to
        ? http.PUT("/api/v1/map/positions", { body: { positions: [{ asset_id: id, x: to.x, y: to.y }] } })
        : http.DELETE("/api/v1/map/positions/{asset_id}", { params: { path: { asset_id: id } } }),
    onMutate: ({ id, to }) => {
      client.setQueryData<MapModel>(mapKey, (old) => {
        const node = old?.nodes.get(id);
        if (!old || !node) return old;
        return { ...old, nodes: new Map(old.nodes).set(id, { ...node, x: to?.x ?? null, y: to?.y ?? null }) };
      });
    },
    onError: () => {
      failed();
      void client.invalidateQueries({ queryKey: mapKey });
    },
  });
  const place = useCallback(
    (id: string, to: Place | null) => {
      const placing = { id, from: placeNow(id), to };
      history.current.add(placing);
      mutate(placing);
    },
    [mutate, placeNow],
  );
  const isThere = useCallback(
    ({ id }: Placing) => client.getQueryData<MapModel>(mapKey)?.nodes.has(id) ?? false,
    [client],
  );
  const undo = useCallback(() => {
    const last = history.current.undo(isThere);
    if (last) mutate({ id: last.id, from: last.to, to: last.from });
  }, [mutate, isThere]);
  const redo = useCallback(() => {
    const next = history.current.redo(isThere);
    if (next) mutate(next);
  }, [mutate, isThere]);
  return { place, undo, redo, isPending };
}

interface Placing {
  id: string;
  /** Null: on its seat. */
  from: Place | null;
  to: Place | null;
}
