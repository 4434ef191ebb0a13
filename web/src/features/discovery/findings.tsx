import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck, EyeOff, Radar, RotateCcw } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useMemo, useState } from "react";
import { useAwaySince, useLive, useThrottled } from "#/api/hooks";
import { tagsQuery } from "#/api/queries";
import type { AssetKind, Finding } from "#/api/schema";
import { useAuth } from "#/api/session";
import { assetKinds, KindIcon, roleName, TagChip, tagsText } from "#/domain/asset";
import { parseFilter } from "#/domain/filter/grammar";
import { findingKeys } from "#/domain/filter/matcher";
import { FilterProblems, problemsToSay } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { useViews } from "#/domain/views/use-views";
import type { Shown } from "#/domain/views/views";
import { counted, useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { type Column, DataTable } from "#/ui/data-table";
import { Empty } from "#/ui/feedback";
import { SearchBox } from "#/ui/search-box";
import { Time, widestTime } from "#/ui/time";
import { Confidence, confidenceWord } from "./confidence";
import {
  applyFinding,
  type FindingFilter,
  type FindingState,
  findingsQuery,
  type Grouping,
  gathered,
  groupings,
  groupOf,
  groupsQuery,
  refreshFindings,
} from "./queries";
import type { Review } from "./review";
import { ReviewBar } from "./review-bar";

interface FindingsProps {
  state: FindingState;
  q: string;
  sort: string;
  group?: Grouping;
  /** Only those of this scan. */
  from?: string;
  /** What the page's address says of the table, and how a view replaces all of it. */
  shown: Shown;
  onView: (next: Shown) => void;
  onList: (next: { q?: string; sort?: string; group?: Grouping }) => void;
  review: Review;
  /** Told which rows are shown, in their order. */
  onRows: (rows: readonly Finding[]) => void;
  selected?: string;
  onSelect: (finding: Finding | null) => void;
  /** Accepts or ignores one, as its panel would, and goes on to the next. */
  onStep: (finding: Finding, step: "accept" | "ignore") => void;
  /** The button for a new scan, where one can begin. */
  begin: (look: "plain" | "primary") => ReactNode;
  /** A scan is at work, or the next one waits. */
  scanning?: "running" | "queued";
}

const none: Finding[] = [];

export function Findings(props: FindingsProps) {
  const { state, q, sort, group, from, onList, review, onRows, selected, onSelect, onStep, begin } = props;
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(
    () => parseFilter(q, vocabulary, { keys: findingKeys }),
    [q, vocabulary],
  );
  const asked: FindingFilter = useMemo(
    () => ({ ...filter, ...(from ? { scan_id: from } : {}) }),
    [filter, from],
  );
  const serverAway = useAwaySince() !== null;
  const findings = useInfiniteQuery({
    ...findingsQuery(state, asked, group ? `group_${group}` : sort),
    // While the server is away the rows of another question would stay for good, as if they fitted this one.
    placeholderData: (previous) => (serverAway ? undefined : previous),
    enabled: !blocked,
  });
  const setQ = useCallback((next: string) => onList({ q: next || undefined }), [onList]);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  // All that fit this filter, also those that are not loaded.
  const [everything, setEverything] = useState<string>();
  const key = JSON.stringify([state, asked]);
  const all = everything === key;
  const refetch = useThrottled(() => void refreshFindings(client), 1_000);
  useLive("discovery", (message) => {
    if (message.type === "resync") refetch();
    if (message.type === "finding" && applyFinding(client, message.data)) refetch();
  });

  const loaded = findings.data?.items ?? none;
  const { hidden, listed } = review;
  useEffect(() => {
    if (!findings.isPlaceholderData) listed(new Set(loaded.map((row) => row.id)));
  }, [listed, loaded, findings.isPlaceholderData]);
  const rows = useMemo(() => {
    if (blocked || hidden.all) return none;
    const shown = loaded.filter((row) => !hidden.ids.has(row.id));
    return group ? gathered(shown, group) : shown;
  }, [blocked, hidden, loaded, group]);
  useEffect(() => onRows(rows), [onRows, rows]);
  const away = loaded.length - (hidden.all ? 0 : rows.length);
  const total = blocked || hidden.all ? 0 : (findings.data?.total ?? rows.length) - away;
  const told = problemsToSay(problems, findings.isSuccess && rows.length === 0);
  const { columns, dense, menu } = useViews("findings", useColumns(), props.shown, props.onView);
  const writes = can("discovery:write");
  const accepts = writes && can("inventory:write") && state === "open";
  const selects = writes && state !== "accepted";
  const chosen = useMemo(() => (all ? new Set(rows.map((row) => row.id)) : ticked), [all, rows, ticked]);
  const picked = useMemo(() => rows.filter((row) => chosen.has(row.id)), [rows, chosen]);
  const setChosen = (next: ReadonlySet<string>) => {
    setEverything(undefined);
    setTicked(next);
  };
  const keys = useMemo(
    () => ({
      ...(accepts ? { a: (row: Finding) => onStep(row, "accept") } : {}),
      ...(writes && state === "open" ? { i: (row: Finding) => onStep(row, "ignore") } : {}),
      u: () => review.undoLast(),
    }),
    [accepts, writes, state, onStep, review],
  );
  const narrowed = q !== "" || !!from;

  return (
    <>
      {rows.length > 0 || narrowed || props.shown.view ? (
        <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
          <SearchBox
            label={t("findings.search")}
            className="max-w-96 min-w-40 flex-1 max-md:max-w-none"
            value={q}
            onChange={setQ}
          />
          <label className="flex items-center gap-1.5 text-muted max-md:order-1">
            {t("findings.groupBy")}
            <select
              className="h-8 rounded-md border border-line-strong bg-canvas px-2 text-sm text-ellipsis text-ink max-md:h-10 max-md:w-28"
              value={group ?? ""}
              onChange={(event) =>
                onList({ group: groupings.find((one) => one === event.target.value), sort: undefined })
              }
            >
              <option value="">{t("findings.groups.none")}</option>
              {groupings.map((one) => (
                <option key={one} value={one}>
                  {t(`findings.groups.${one}`)}
                </option>
              ))}
            </select>
          </label>
          {menu}
          {accepts && picked.length === 0 && total > 0 ? (
            <Button
              look="primary"
              className="ml-auto max-md:order-1"
              onClick={() => review.step({ type: "accept" }, { filter: asked, count: total }, [])}
            >
              {/* The rail counts all that wait; a list that is narrowed has fewer. */}
              {t(narrowed ? "findings.acceptThese" : "findings.acceptAll", { count: total })}
            </Button>
          ) : null}
        </div>
      ) : null}
      {selects && picked.length > 0 ? (
        <ReviewBar
          state={state}
          accepts={accepts}
          count={all ? total : picked.length}
          all={all}
          total={total}
          onAll={
            rows.length < total && !findings.isPlaceholderData && picked.length === rows.length
              ? () => setEverything(key)
              : undefined
          }
          onStep={(step) => {
            const ids = picked.map((row) => row.id);
            review.step(step, all ? { filter: asked, count: total } : { ids }, ids);
            setChosen(new Set());
          }}
          onClear={() => setChosen(new Set())}
        />
      ) : null}
      <FilterProblems problems={told} text={q} onText={setQ} />
      <Table
        {...{ state, asked, group, rows, columns, dense, total, keys, accepts, writes, review }}
        sort={group ? undefined : sort}
        onSort={(next) => onList({ sort: next || undefined, group: undefined })}
        loading={findings.isPending && !blocked}
        error={findings.error}
        retry={() => void findings.refetch()}
        selection={selects ? chosen : undefined}
        onSelection={selects ? setChosen : undefined}
        selected={selected}
        onSelect={onSelect}
        hasMore={findings.hasNextPage && !findings.isFetchingNextPage}
        loadMore={findings.fetchNextPage}
        empty={
          narrowed ? (
            <Empty
              title={t("filter.noMatch")}
              action={q ? <Button onClick={() => setQ("")}>{t("table.clearFilter")}</Button> : undefined}
            />
          ) : state === "open" ? (
            <AllReviewed begin={begin} scanning={props.scanning} />
          ) : (
            <Empty
              icon={state === "ignored" ? <EyeOff aria-hidden /> : <CircleCheck aria-hidden />}
              title={t(`findings.none.${state}`)}
            >
              {t(`findings.noneText.${state}`)}
            </Empty>
          )
        }
      />
    </>
  );
}

/** What came of the review, and what one does next. */
function AllReviewed({ begin, scanning }: Pick<FindingsProps, "begin" | "scanning">) {
  const { t } = useTranslation();
  const accepted = useInfiniteQuery(findingsQuery("accepted")).data?.total ?? 0;
  if (scanning)
    return (
      <Empty icon={<Radar aria-hidden />} title={t(`findings.scanning.${scanning}`)}>
        {t("findings.scanningText")}
      </Empty>
    );
  if (accepted === 0)
    return (
      <Empty icon={<Radar aria-hidden />} title={t("findings.noneOpen")} action={begin("primary")}>
        {t("findings.noneOpenText")}
      </Empty>
    );
  return (
    <Empty
      icon={<CircleCheck aria-hidden />}
      title={t("findings.noneOpen")}
      action={
        <>
          <Link to="/map" className={buttonClass("primary")}>
            {t("findings.toMap")}
          </Link>
          <Link to="/inventory" className={buttonClass()}>
            {t("findings.toInventory")}
          </Link>
          {begin("plain")}
        </>
      }
    >
      {t("findings.allReviewed", { count: accepted })}
    </Empty>
  );
}

interface TableProps {
  state: FindingState;
  asked: FindingFilter;
  group?: Grouping;
  rows: readonly Finding[];
  columns: Column<Finding>[];
  dense: boolean;
  total: number;
  keys: Readonly<Record<string, (row: Finding) => void>>;
  accepts: boolean;
  writes: boolean;
  review: Review;
  sort?: string;
  onSort: (sort: string) => void;
  loading: boolean;
  error: unknown;
  retry: () => void;
  selection?: ReadonlySet<string>;
  onSelection?: (next: Set<string>) => void;
  selected?: string;
  onSelect: (finding: Finding | null) => void;
  hasMore: boolean;
  loadMore: () => void;
  empty: ReactNode;
}

/** The findings, under the headings of their groups where they are grouped. */
function Table({ state, asked, group, accepts, writes, review, selected, onSelect, ...table }: TableProps) {
  const { t } = useTranslation();
  const counts = useQuery({
    ...groupsQuery(state, asked, group ?? "kind"),
    enabled: !!group,
    placeholderData: (previous) => previous,
  }).data;
  const { rows } = table;
  const groups = useMemo(
    () =>
      group && {
        of: (row: Finding) => groupOf(row, group),
        heading: (name: string) => {
          const count = counts?.find((one) => one.key === name)?.count ?? 0;
          const label = groupLabel(group, name, t);
          const here = rows.filter((row) => groupOf(row, group) === name).map((row) => row.id);
          const whole = { filter: { ...asked, group_by: group, group: name }, count };
          return (
            <span className="flex items-center gap-2">
              <span className="truncate font-semibold">{label}</span>
              <span className="text-muted">{counted(count)}</span>
              <span className="ml-auto flex gap-1">
                {accepts && count > 0 ? (
                  <Button
                    className="h-7 max-md:h-8!"
                    aria-label={t("findings.acceptGroup", { count, group: label })}
                    onClick={() => review.step({ type: "accept" }, whole, here)}
                  >
                    <CircleCheck aria-hidden className="size-3.5" />
                    {t("findings.accept")}
                  </Button>
                ) : null}
                {writes && state === "open" && count > 0 ? (
                  <Button
                    look="ghost"
                    className="h-7 max-md:h-8!"
                    aria-label={t("findings.ignoreGroup", { count, group: label })}
                    onClick={() => review.step({ type: "ignore" }, whole, here)}
                  >
                    <EyeOff aria-hidden className="size-3.5" />
                    <span className="max-md:sr-only">{t("findings.ignore")}</span>
                  </Button>
                ) : null}
                {writes && state === "ignored" && count > 0 ? (
                  <Button
                    className="h-7 max-md:h-8!"
                    aria-label={t("findings.reopenGroup", { count, group: label })}
                    onClick={() => review.step({ type: "reopen" }, whole, here)}
                  >
                    <RotateCcw aria-hidden className="size-3.5" />
                    {t("findings.reopen")}
                  </Button>
                ) : null}
              </span>
            </span>
          );
        },
      },
    [group, counts, rows, asked, accepts, writes, state, review, t],
  );
  return (
    <DataTable
      {...table}
      label={t("findings.title")}
      groups={groups}
      rowId={idOf}
      rowLabel={(row) => row.title}
      activeId={selected}
      onOpen={onSelect}
    />
  );
}

type Translate = ReturnType<typeof useTranslation>["t"];

function groupLabel(by: Grouping, name: string, t: Translate): string {
  if (name === "") return t(`findings.unknownGroup.${by}`);
  if (by === "network") return name;
  if (by === "role") return t("findings.looksLike", { role: roleName(name) });
  const kind = assetKinds.find((one): one is AssetKind => one === name);
  return kind ? t(`kind.${kind}`) : name;
}

const idOf = (row: Finding) => row.id;
function firstAddress({ proposal: { addresses } }: Finding): string {
  return `${addresses[0]?.ip ?? ""}${addresses.length > 1 ? ` +${addresses.length - 1}` : ""}`;
}
const about = ({ proposal }: Finding) =>
  [proposal.role && roleName(proposal.role), proposal.os].filter(Boolean).join(" · ");

function useColumns(): Column<Finding>[] {
  const { t } = useTranslation();
  const tags = useQuery(tagsQuery).data;
  return useMemo(
    () => [
      {
        id: "title",
        header: t("findings.what"),
        sortable: true,
        width: { min: 132, max: 360, extra: 24, text: (row) => row.title },
        cell: (row) => (
          <>
            <KindIcon kind={row.proposal.kind} role={row.proposal.role} />
            <span className="truncate">{row.title}</span>
          </>
        ),
      },
      {
        id: "address",
        header: t("asset.addresses"),
        sortable: true,
        width: { min: 120, max: 320, mono: true, text: firstAddress },
        cell: (row) => (
          <span className="mono">
            {row.proposal.addresses[0]?.ip}
            {row.proposal.addresses.length > 1 ? (
              <span className="text-muted"> +{row.proposal.addresses.length - 1}</span>
            ) : null}
          </span>
        ),
      },
      {
        id: "role",
        header: t("asset.kind"),
        sortable: true,
        className: "text-muted",
        width: { min: 112, max: 280, text: about, rank: 2 },
        cell: about,
      },
      {
        id: "vendor",
        header: t("asset.vendor"),
        sortable: true,
        className: "text-muted",
        width: { min: 112, max: 320, text: (row) => row.proposal.vendor ?? "", rank: 3 },
        cell: (row) => row.proposal.vendor,
      },
      {
        id: "tags",
        header: t("asset.tags"),
        width: {
          min: 72,
          max: 280,
          rank: 6,
          text: (row) =>
            tagsText(tags?.filter((tag) => row.proposal.tags.includes(tag.id)).slice(0, 3) ?? []),
        },
        cell: (row) => (
          <span className="flex gap-1 overflow-hidden">
            {tags
              ?.filter((tag) => row.proposal.tags.includes(tag.id))
              .slice(0, 3)
              .map((tag) => (
                <TagChip key={tag.id} tag={tag} />
              ))}
          </span>
        ),
      },
      {
        id: "evidence",
        header: t("findings.evidence"),
        width: { min: 72, max: 96, rank: 5, text: (row) => String(row.evidence.length) },
        cell: (row) => row.evidence.length,
      },
      {
        id: "confidence",
        header: t("findings.confidence"),
        sortable: true,
        descendingFirst: true,
        width: {
          min: 104,
          max: 140,
          extra: 36,
          rank: 4,
          text: (row) => t(`confidence.${confidenceWord(row.confidence)}`),
        },
        cell: (row) => <Confidence value={row.confidence} />,
      },
      {
        id: "last_seen_at",
        header: t("findings.seen"),
        sortable: true,
        descendingFirst: true,
        className: "text-muted",
        width: { min: 104, max: 140, rank: 1, text: widestTime },
        cell: (row) => <Time at={row.last_seen_at} />,
      },
    ],
    [t, tags],
  );
}
