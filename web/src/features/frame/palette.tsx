/** ⌘K: what was visited last, pages, actions, networks, and everything in the inventory by the filter language. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { Bookmark, EthernetPort } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactElement, type ReactNode, useDeferredValue, useEffect, useMemo, useState } from "react";
import { http, take } from "#/api/client";
import { useAwaySince } from "#/api/hooks";
import { networksQuery } from "#/api/queries";
import { useAuth } from "#/api/session";
import { KindIcon } from "#/domain/asset";
import { parseFilter } from "#/domain/filter/grammar";
import { FilterProblems, problemsToSay } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { useMaySee } from "#/domain/may-see";
import { distinct } from "#/domain/product";
import { addressOf, tables, viewsQuery } from "#/domain/views/views";
import { useTranslation } from "#/i18n";
import { Confirm } from "#/ui/confirm";
import { found, hasWordOf, type Line, withoutFiller } from "./lines";
import { type Page, subpages } from "./pages";
import { type Recent, recents, remember, useHere } from "./recent";
import { type Question, useActions } from "./use-actions";

/** As many as are seen without scrolling, with the first pages below. */
const RECENT_MOST = 6;
const NETWORKS_MOST = 5;
/** What is asked for here, and is done elsewhere. */
const hints = ["backup", "help"] as const;

interface PaletteProps {
  open: boolean;
  onClose: () => void;
  pages: readonly Page[];
}

export default function Palette({ open, onClose, pages }: PaletteProps) {
  const { t } = useTranslation();
  // What asks before it is done outlives the palette.
  const [asked, setAsked] = useState<Question | null>(null);
  return (
    <>
      <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
        <Radix.Portal>
          <Radix.Overlay className="appear fixed inset-0 z-40 bg-[rgb(0_0_0/0.55)]" />
          <Radix.Content
            aria-describedby={undefined}
            className="appear fixed top-[10vh] left-1/2 z-50 w-[calc(100vw-1.5rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-lg border border-line-strong bg-raised shadow-float"
          >
            <Radix.Title className="sr-only">{t("palette.title")}</Radix.Title>
            <PaletteBody onClose={onClose} pages={pages} onAsk={setAsked} />
          </Radix.Content>
        </Radix.Portal>
      </Radix.Root>
      {asked ? (
        <Confirm
          title={asked.title}
          text={asked.text}
          action={asked.title}
          work={asked.work}
          onClose={() => setAsked(null)}
        />
      ) : null}
    </>
  );
}

function PaletteBody({
  onClose,
  pages,
  onAsk,
}: Omit<PaletteProps, "open"> & { onAsk: (question: Question) => void }) {
  const { t } = useTranslation();
  const { me } = useAuth();
  const navigate = useNavigate();
  const maySee = useMaySee();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState("");
  const typed = withoutFiller(text, t("palette.filler"));
  const { assets, words, problems, isFetching, isError } = useAssets(typed);
  const away = useAwaySince() !== null;
  const actions = useActions(onAsk);
  const saved = useQuery(viewsQuery).data ?? [];
  const views: Line[] = saved
    .filter(({ list }) => pages.some(({ to }) => `${tables[list].to}/`.startsWith(`${to}/`)))
    .map((view) => ({
      id: `view ${view.id}`,
      label: view.name,
      place: t("views.place", { page: t(`views.table.${view.list}`) }),
      icon: Bookmark,
      run: () => void navigate({ to: tables[view.list].to, search: addressOf(view) as never }),
    }));
  const networks = useNetworks();
  const here = useHere();
  const kept = useMemo(() => recents(me.user.id), [me.user.id]);
  const going: Line[] = pages.map((page) => ({
    id: `page ${page.key}`,
    label: t(`pages.${page.key}`),
    also: t(`palette.also.${page.key}`),
    icon: page.icon,
    run: () => void navigate({ to: page.to }),
  }));
  const within: Line[] = subpages
    .filter(({ to }) => maySee(to))
    .map((page) => ({
      id: `page ${page.key}`,
      label: t(`pages.${page.key}`),
      place: t(`pages.${page.of}`),
      also: t(`palette.also.${page.key}`),
      icon: page.icon,
      run: () => void navigate({ to: page.to }),
    }));
  const hint = hints.find((one) => hasWordOf(typed, t(`palette.hintFor.${one}`)));
  const openAsset = (id: string) => void navigate({ to: "/inventory", search: { selected: id } });
  const choose = (recent: Recent, work: () => void) => () => {
    remember(me.user.id, recent);
    onClose();
    work();
  };
  const lineItem = (line: Line) => (
    <Item key={line.id} value={line.id} onSelect={choose({ id: line.id }, line.run)}>
      <line.icon className="size-4 shrink-0 text-muted" />
      <span className="truncate">{line.label}</span>
      {line.place ? <span className="ml-auto truncate pl-3 text-xs text-muted">{line.place}</span> : null}
    </Item>
  );
  const assetItem = (id: string, asset: NonNullable<Recent["asset"]>, addresses: readonly string[] = []) => (
    <Item key={id} value={id} onSelect={choose({ id, asset }, () => openAsset(id))}>
      <KindIcon kind={asset.kind} role={asset.role} />
      <span className="truncate font-medium">{asset.name}</span>
      <span className="mono ml-auto truncate pl-3 text-muted">
        {distinct([asset.name, ...addresses])
          .slice(1, 3)
          .join(", ")}
      </span>
    </Item>
  );
  const sections = (typed ? ofText() : atFirst()).filter(({ items }) => items.length > 0);

  /** Before anything is typed: what was visited last and is not on the screen now, then everything else. */
  function atFirst(): Section[] {
    const lines = [...going, ...within, ...views, ...networks, ...actions];
    const shown = new Set([here.page, here.asset, `network ${here.network}`]);
    // A line that the role has lost since is not there.
    const again = kept.flatMap(({ id, asset }) => {
      if (shown.has(id)) return [];
      if (asset) return [assetItem(id, asset)];
      const line = lines.find((one) => one.id === id);
      return line ? [lineItem(line)] : [];
    });
    const said = new Set(again.map(({ key }) => key));
    const rest = (some: readonly Line[]) => some.filter(({ id }) => !said.has(id)).map(lineItem);
    return [
      { heading: "recent", items: again.slice(0, RECENT_MOST) },
      { heading: "pages", items: rest(going) },
      { heading: "views", items: rest(views) },
      { heading: "do", items: rest(actions) },
    ];
  }

  /** What is called so comes before the assets that have the words elsewhere, such as in their notes. */
  function ofText(): Section[] {
    const among = {
      networks: found(networks, typed),
      pages: found([...going, ...within], typed),
      views: found(views, typed),
      do: found(actions, typed),
    };
    among.networks.lines.splice(NETWORKS_MOST);
    const own: Section[] = (["networks", "pages", "views", "do"] as const)
      .toSorted((a, b) => among[a].near - among[b].near)
      .map((heading) => ({ heading, items: among[heading].lines.map(lineItem) }));
    const inventory: Section = {
      heading: "assets",
      items: assets.map(({ id, name, kind, role, addresses }) =>
        assetItem(id, { name, kind, role: role ?? null }, addresses),
      ),
    };
    const [best] = assets;
    const called = !words || (best && hasWords(words, [best.name, ...best.addresses]));
    return called ? [inventory, ...own] : [...own, inventory];
  }

  // Enter takes the first one until the arrows say otherwise, also when assets arrive above it.
  const first = sections[0]?.items[0]?.key ?? "";
  useEffect(() => setChosen(first), [first]);

  return (
    <Command shouldFilter={false} label={t("palette.title")} loop value={chosen} onValueChange={setChosen}>
      <Command.Input
        value={text}
        onValueChange={setText}
        placeholder={t("palette.placeholder")}
        className="h-12 w-full border-b border-line bg-transparent px-4 text-base outline-none"
      />
      <FilterProblems problems={problems} text={typed} onText={setText} />
      <Command.List label={t("palette.results")} className="max-h-[55vh] overflow-y-auto p-1.5">
        {first === "" && (away || problems.length === 0) ? (
          <p className="px-3 py-6 text-center text-muted">
            {away
              ? t("palette.away")
              : isFetching
                ? t("palette.searching")
                : isError
                  ? t("palette.failed")
                  : hint
                    ? t(`palette.hint.${hint}`)
                    : t("palette.nothing", { text: typed })}
          </p>
        ) : null}
        {sections.map(({ heading, items }) => (
          <Group key={heading} heading={t(`palette.${heading}`)}>
            {items}
          </Group>
        ))}
      </Command.List>
    </Command>
  );
}

interface Section {
  heading: "recent" | "assets" | "networks" | "pages" | "views" | "do";
  items: ReactElement[];
}

/** The assets that a text asks for, in the one filter language. */
function useAssets(text: string) {
  const wanted = useDeferredValue(text);
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(() => parseFilter(wanted, vocabulary), [wanted, vocabulary]);
  const asks = !blocked && Object.keys(filter).length > 0;
  const { data, isFetching, isPending, isError } = useQuery({
    queryKey: ["assets", "palette", filter],
    queryFn: async () =>
      (await take(http.GET("/api/v1/assets", { params: { query: { ...filter, limit: 8 } } }))).items,
    enabled: asks,
    placeholderData: (previous) => previous,
  });
  const assets = asks ? (data ?? []) : [];
  const told = problemsToSay(problems, assets.length === 0 && !isPending);
  return { assets, words: filter.q, problems: told, isFetching, isError: asks && isError };
}

function hasWords(words: string, texts: readonly string[]): boolean {
  const all = texts.join("\n").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** The networks that the filter language knows too. */
function useNetworks(): Line[] {
  const navigate = useNavigate();
  const maySee = useMaySee();
  const { data = [] } = useQuery({ ...networksQuery, enabled: maySee("/networks") });
  return data.map(({ id, name, cidr }) => ({
    id: `network ${id}`,
    label: name,
    place: cidr === name ? undefined : cidr,
    icon: EthernetPort,
    run: () => void navigate({ to: "/networks", search: { selected: id } }),
  }));
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted"
    >
      {children}
    </Command.Group>
  );
}

function Item({ value, onSelect, children }: { value: string; onSelect: () => void; children: ReactNode }) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex h-9 items-center gap-2.5 rounded-md px-2.5 data-[selected=true]:bg-accent-soft data-[selected=true]:text-accent-text"
    >
      {children}
    </Command.Item>
  );
}
