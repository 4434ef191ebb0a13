/** The picture, its keys and its few buttons. React around the renderer; all drawing is the renderer's. */
import { Group as GroupIcon, Maximize, Minus, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { counted, useTranslation } from "#/i18n";
import { IconButton } from "#/ui/button";
import { useStrayKeys } from "#/ui/stray-keys";
import { useShownTheme } from "#/ui/theme";
import type { Placed } from "./data";
import { type Group, UNGROUPED } from "./group";
import type { Place } from "./layout";
import { Legend } from "./legend";
import { MapRenderer } from "./renderer";
import { groupLines } from "./summary";
import { type Direction, stepTo } from "./walk";

/** On a phone the panel comes from below, over so much of the map: see `Panel`. */
const PHONE = "(width < 48rem)";
const SHEET = 0.58;

interface MapCanvasProps {
  placed: Placed;
  selected?: string;
  matches: ReadonlySet<string> | null;
  focus: { id: string } | null;
  mayPin: boolean;
  onSelect: (id: string | null) => void;
  onMoved: (id: string, place: Place) => void;
  onFind: () => void;
}

function titleOf(group: Group, short: boolean, t: ReturnType<typeof useTranslation>["t"]): string {
  if (group.id === UNGROUPED) return t("map.noNetwork");
  return short || group.name === group.cidr ? group.name : `${group.name}  ${group.cidr}`;
}

export function MapCanvas({
  placed,
  selected,
  matches,
  focus,
  mayPin,
  onSelect,
  onMoved,
  onFind,
}: MapCanvasProps) {
  const { t } = useTranslation();
  const host = useRef<HTMLDivElement>(null);
  const renderer = useRef<MapRenderer | null>(null);
  const fitted = useRef(false);
  /** Where the keys go on from; it is shown once a key has moved it. */
  const [cursor, setCursor] = useState<{ id: string; shown: boolean } | null>(null);
  const [grouped, setGrouped] = useState(true);
  const [where, setWhere] = useState<Group | null>(null);
  const theme = useShownTheme();
  const handlers = useRef({ onSelect, onMoved, mayPin, t });
  useEffect(() => {
    handlers.current = { onSelect, onMoved, mayPin, t };
  });

  useEffect(() => {
    const container = host.current;
    if (!container) return;
    const map = new MapRenderer(
      container,
      {
        select: (id) => {
          setCursor((old) => (id ? { id, shown: false } : old && { ...old, shown: false }));
          handlers.current.onSelect(id);
        },
        moved: (id, place) => handlers.current.onMoved(id, place),
        drawn: () => performance.mark("map-interactive"),
        where: setWhere,
      },
      {
        title: (group, short) => titleOf(group, short, handlers.current.t),
        counted: (group) => `${titleOf(group, true, handlers.current.t)} · ${counted(group.members.length)}`,
        lines: (group) => groupLines(group, handlers.current.t),
        thisServer: () => handlers.current.t("map.thisServer"),
        landmark: (what, name) => handlers.current.t(`map.landmark.${what}`, { name }),
      },
      () => handlers.current.mayPin,
    );
    renderer.current = map;
    fitted.current = false;
    return () => {
      renderer.current = null;
      map.kill();
    };
  }, []);

  useEffect(() => {
    const map = renderer.current;
    if (!map) return;
    map.setData(placed.model, placed.places, placed.groups);
    if (!fitted.current && placed.places.size > 0) {
      fitted.current = true;
      map.begin();
    }
  }, [placed]);
  useEffect(() => {
    renderer.current?.setSelected(selected ?? null);
    if (selected) setCursor((old) => (old?.id === selected ? old : { id: selected, shown: false }));
    if (selected && matchMedia(PHONE).matches) renderer.current?.reveal(selected, SHEET);
  }, [selected]);
  const shown = cursor?.shown ? cursor.id : null;
  useEffect(() => renderer.current?.setCursor(shown), [shown]);
  useEffect(() => renderer.current?.setMatches(matches), [matches]);
  useEffect(() => renderer.current?.setGroupsShown(grouped), [grouped]);
  useEffect(() => {
    if (focus) renderer.current?.center(focus.id, matchMedia(PHONE).matches ? SHEET : 0);
  }, [focus]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme is what changes the colors that are read
  useEffect(() => renderer.current?.refreshColors(), [theme]);

  const whole = useRef<HTMLDivElement>(null);
  useStrayKeys(whole, (event, holder) => {
    onKey(event);
    // Some keys send the focus elsewhere.
    if (event.defaultPrevented && document.activeElement === holder)
      whole.current?.focus({ preventScroll: true });
  });
  function onKey(
    event: Pick<KeyboardEvent, "key" | "metaKey" | "ctrlKey" | "altKey" | "preventDefault">,
  ): void {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const known = cursor && placed.places.has(cursor.id) ? cursor.id : null;
    switch (event.key) {
      case "ArrowUp":
      case "ArrowDown":
      case "ArrowLeft":
      case "ArrowRight": {
        const next = known
          ? stepTo(
              known,
              event.key as Direction,
              placed.places,
              renderer.current?.neighbors(known) ?? new Set(),
            )
          : (placed.groups[0]?.members[0]?.id ?? null);
        // Where it goes no further, a key at least shows where it is.
        const to = next ?? known;
        if (to) {
          setCursor({ id: to, shown: true });
          renderer.current?.reveal(to);
        }
        break;
      }
      case ".":
      case "Enter":
        if (known) onSelect(known);
        break;
      case "f":
        renderer.current?.fit();
        break;
      case "g":
        setGrouped(!grouped);
        break;
      case "+":
        renderer.current?.zoom(1.5);
        break;
      case "-":
        renderer.current?.zoom(1 / 1.5);
        break;
      case "/":
        onFind();
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  const spoken = shown ? placed.model.nodes.get(shown) : undefined;
  return (
    <div className="relative min-h-0 flex-1 overflow-hidden bg-canvas">
      <div
        ref={whole}
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the map is walked by arrow keys; the list view is the same for screen readers
        tabIndex={0}
        aria-label={t("map.label", { count: placed.model.nodes.size })}
        aria-describedby="map-keys"
        onKeyDown={onKey}
        className="absolute inset-0 -outline-offset-2"
      >
        <div ref={host} data-map className="absolute inset-0" />
      </div>
      <p id="map-keys" className="sr-only">
        {t("map.keys")}
      </p>
      <p aria-live="polite" className="sr-only">
        {spoken
          ? t("map.at", {
              name: spoken.name,
              status: t(`status.${spoken.status}`),
              address: spoken.addresses[0] ?? "",
            })
          : ""}
      </p>
      {where ? (
        <p
          data-map-where
          className="pointer-events-none absolute inset-x-0 top-0 h-[30px] truncate border-b border-line bg-canvas px-4 text-center leading-[30px] text-muted"
        >
          <span className="font-semibold text-ink">{where.name}</span>
          {where.name === where.cidr ? null : <span className="mono"> {where.cidr}</span>}
          {" · "}
          {t("map.count", { count: where.members.length })}
        </p>
      ) : null}
      <Legend mayPin={mayPin} />
      <div className="absolute right-3 bottom-3 flex flex-col rounded-lg border border-line bg-surface p-0.5">
        <IconButton label={t("map.zoomIn")} onClick={() => renderer.current?.zoom(1.5)}>
          <Plus aria-hidden className="size-4" />
        </IconButton>
        <IconButton label={t("map.zoomOut")} onClick={() => renderer.current?.zoom(1 / 1.5)}>
          <Minus aria-hidden className="size-4" />
        </IconButton>
        <IconButton label={t("map.fit")} onClick={() => renderer.current?.fit()}>
          <Maximize aria-hidden className="size-4" />
        </IconButton>
        <IconButton label={t("map.groups")} aria-pressed={grouped} onClick={() => setGrouped(!grouped)}>
          <GroupIcon aria-hidden className="size-4" />
        </IconButton>
      </div>
    </div>
  );
}
