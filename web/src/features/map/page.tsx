import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { List, Map as MapIcon, PinOff } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useAwaySince } from "#/api/hooks";
import { waitingQuery } from "#/api/queries";
import { useAuth } from "#/api/session";
import { FilterProblems, problemsToSay } from "#/domain/filter/problems";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/map.json";
import { Button, buttonClass } from "#/ui/button";
import { cx } from "#/ui/cx";
import { Empty, ErrorBox, NotLoaded, Skeleton } from "#/ui/feedback";
import { PlainForm } from "#/ui/form";
import { PageHead, WithPanel } from "#/ui/page";
import { SearchBox } from "#/ui/search-box";
import { toast } from "#/ui/toast";
import { MapCanvas } from "./canvas";
import { useMapModel, usePlaces, usePlacing } from "./data";
import { MapList } from "./list";
import { isPinned } from "./model";
import { warmUp } from "./pixels";
import { findNodes, mapFilter } from "./search";

addWords(words);

export interface MapSearch {
  selected?: string;
  view?: "list";
  q?: string;
}
interface MapPageProps {
  search: MapSearch;
  go: (next: MapSearch) => void;
  panel: (id: string, actions: ReactNode, onClose: () => void, onOpen: (id: string) => void) => ReactNode;
}

export function MapPage({ search, go, panel }: MapPageProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const map = useMapModel();
  const waiting = useQuery({ ...waitingQuery, enabled: can("discovery:read") }).data ?? 0;
  const placed = usePlaces(map.model);
  const { place, undo, redo, isPending } = usePlacing(() => toast(t("map.notSaved"), { tone: "error" }));
  const [focus, setFocus] = useState<{ id: string } | null>(null);
  const find = useRef<HTMLInputElement>(null);
  const text = search.q ?? "";
  const matches = useMemo(() => (map.model ? findNodes(map.model, text) : null), [map.model, text]);
  const mayPin = can("inventory:write");

  const latest = useRef({ search, go });
  useEffect(() => {
    latest.current = { search, go };
  });
  const select = useCallback(
    (id: string | null) => latest.current.go({ ...latest.current.search, selected: id ?? undefined }),
    [],
  );
  const setQ = useCallback(
    (q: string) => latest.current.go({ ...latest.current.search, q: q || undefined }),
    [],
  );
  const open = useCallback(
    (id: string) => {
      select(id);
      setFocus({ id });
    },
    [select],
  );
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      const target = event.target as HTMLElement;
      if (target.closest("input,textarea,select,[contenteditable],[role=dialog]")) return;
      const key = event.key.toLowerCase();
      if (mayPin && key === "z" && (event.ctrlKey || event.metaKey) && !event.altKey)
        if (event.shiftKey) redo();
        else undo();
      else if (key === "/") find.current?.focus();
      else return;
      event.preventDefault();
    }
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [mayPin, undo, redo]);

  const selected = search.selected ? map.model?.nodes.get(search.selected) : undefined;
  const actions =
    selected && isPinned(selected) && mayPin ? (
      <Button busy={isPending} onClick={() => place(selected.id, null)}>
        <PinOff aria-hidden className="size-4" />
        {t("map.unpin")}
      </Button>
    ) : null;
  const asList = search.view === "list";

  return (
    <>
      <PageHead
        title={t("pages.map")}
        count={map.model ? t("map.count", { count: map.model.nodes.size }) : undefined}
      >
        <PlainForm
          className="flex items-center gap-2 max-md:flex-1"
          onSubmit={(event) => {
            event.preventDefault();
            const typed = find.current?.value ?? "";
            const first = map.model ? findNodes(map.model, typed)?.values().next().value : undefined;
            if (first) open(first);
          }}
        >
          {matches ? (
            <span role="status" className="text-muted">
              {t("map.found", { count: matches.size })}
            </span>
          ) : null}
          <SearchBox
            inputRef={find}
            label={t("map.find")}
            className="w-64 max-md:w-auto max-md:flex-1"
            value={text}
            onChange={setQ}
          />
        </PlainForm>
        <fieldset className="flex gap-1 rounded-md bg-sunken p-0.5">
          <legend className="sr-only">{t("map.view")}</legend>
          <ViewButton
            pressed={!asList}
            onClick={() => go({ ...search, view: undefined })}
            label={t("map.asMap")}
            icon={<MapIcon aria-hidden className="size-4" />}
          />
          <ViewButton
            pressed={asList}
            onClick={() => go({ ...search, view: "list" })}
            label={t("map.asList")}
            icon={<List aria-hidden className="size-4" />}
          />
        </fieldset>
      </PageHead>
      {map.model ? (
        <FilterProblems
          problems={problemsToSay(mapFilter(map.model, text).problems, matches?.size === 0)}
          text={text}
          onText={setQ}
        />
      ) : null}
      {map.model?.truncated ? (
        <p role="status" className="border-b border-line px-4 py-2 text-degraded-text">
          {t("map.truncated")}
        </p>
      ) : null}
      <WithPanel
        sheet={!asList}
        panel={search.selected ? panel(search.selected, actions, () => select(null), open) : undefined}
      >
        {map.error && !map.model ? (
          <ErrorBox error={map.error} retry={() => void map.refetch()} className="m-4" />
        ) : !map.model || (!asList && !placed) ? (
          <Waiting warm={!asList} />
        ) : map.model.nodes.size === 0 ? (
          <Empty
            icon={<MapIcon aria-hidden />}
            title={t("map.none")}
            action={
              waiting > 0 ? (
                <Link to="/discovery" className={buttonClass("primary")}>
                  {t("map.review", { count: waiting })}
                </Link>
              ) : can("discovery:write") ? (
                <Link to="/discovery" search={{ scan: "new" }} className={buttonClass("primary")}>
                  {t("inventory.scan")}
                </Link>
              ) : undefined
            }
          >
            {waiting > 0 ? t("map.noneReviewed") : t("map.noneText")}
          </Empty>
        ) : asList ? (
          <MapList model={map.model} matches={matches} selected={search.selected} onSelect={select} />
        ) : placed ? (
          <MapCanvas
            placed={placed}
            selected={search.selected}
            matches={matches}
            focus={focus}
            mayPin={mayPin}
            onSelect={select}
            onMoved={place}
            onFind={() => find.current?.focus()}
          />
        ) : null}
      </WithPanel>
    </>
  );
}

function Waiting({ warm }: { warm: boolean }) {
  useEffect(() => {
    if (warm) warmUp();
  }, [warm]);
  const away = useAwaySince() !== null;
  return away ? <NotLoaded className="m-4" /> : <Skeleton className="m-4 flex-1" />;
}

function ViewButton({
  pressed,
  onClick,
  label,
  icon,
}: {
  pressed: boolean;
  onClick: () => void;
  label: string;
  icon: ReactNode;
}) {
  return (
    <button
      type="button"
      aria-pressed={pressed}
      onClick={onClick}
      className={cx(
        "flex h-7 items-center gap-1.5 rounded px-2.5 max-md:h-9",
        pressed ? "bg-raised font-medium text-ink shadow-sm" : "text-muted hover:text-ink",
      )}
    >
      {icon}
      <span className="max-md:sr-only">{label}</span>
    </button>
  );
}
