/** ⌘K: what was chosen last, actions, pages, and everything in the inventory by the filter language. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { Bookmark } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ComponentType, type ReactNode, useDeferredValue, useEffect, useMemo, useState } from "react";
import { http, take } from "#/api/client";
import { useAwaySince } from "#/api/hooks";
import { useAuth } from "#/api/session";
import { KindIcon } from "#/domain/asset";
import { parseFilter } from "#/domain/filter/grammar";
import { FilterProblems } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { distinct } from "#/domain/product";
import { addressOf, tables, viewsQuery } from "#/domain/views/views";
import { useTranslation } from "#/i18n";
import { Confirm } from "#/ui/confirm";
import type { Page } from "./pages";
import { type Recent, recents, remember } from "./recent";
import { type Question, useActions } from "./use-actions";

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

/** One line of the palette that is no asset. */
interface Line {
  id: string;
  label: string;
  /** Where its button is. */
  place?: string;
  icon: ComponentType<{ className?: string }>;
  run: () => void;
}

/** Whether each typed word begins a word of the line. */
function matches({ label, place = "" }: Line, text: string): boolean {
  const words = `${label} ${place}`.toLowerCase().split(/[\s:/]+/);
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((typed) => words.some((word) => word.startsWith(typed)));
}

function PaletteBody({
  onClose,
  pages,
  onAsk,
}: Omit<PaletteProps, "open"> & { onAsk: (question: Question) => void }) {
  const { t } = useTranslation();
  const { me } = useAuth();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState("");
  const { found, problems, isFetching } = useAssets(text);
  const away = useAwaySince() !== null;
  const actions = useActions(onAsk);
  const saved = useQuery(viewsQuery).data ?? [];
  const views = saved
    .filter(({ list }) => pages.some(({ to }) => `${tables[list].to}/`.startsWith(`${to}/`)))
    .map((view) => ({
      id: `view ${view.id}`,
      label: view.name,
      place: t("views.place", { page: t(`views.table.${view.list}`) }),
      icon: Bookmark,
      run: () => void navigate({ to: tables[view.list].to, search: addressOf(view) as never }),
    }));
  const kept = useMemo(() => recents(me.user.id), [me.user.id]);
  const lines: Line[] = [
    ...actions,
    ...views,
    ...pages.map((page) => ({
      id: `page ${page.key}`,
      label: t(`pages.${page.key}`),
      icon: page.icon,
      run: () => void navigate({ to: page.to }),
    })),
  ];
  const fitting = text.trim() ? lines.filter((line) => matches(line, text.trim())) : lines;
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
  // Before anything is typed: what was chosen last. A line that the role has lost since is not there.
  const shownRecents = text.trim()
    ? []
    : kept.flatMap(({ id, asset }) => {
        if (asset) return [assetItem(id, asset)];
        const line = lines.find((one) => one.id === id);
        return line ? [lineItem(line)] : [];
      });
  const again = new Set(text.trim() ? [] : kept.map(({ id }) => id));
  const rest = fitting.filter(({ id }) => !again.has(id));
  const leads = ({ id }: Line) => id.startsWith("page ") || id.startsWith("view ");
  const doing = rest.filter((line) => !leads(line));
  const going = rest.filter(leads);
  // Enter takes the first one until the arrows say otherwise, also when assets arrive above it.
  const first = shownRecents[0]?.key ?? found[0]?.id ?? doing[0]?.id ?? going[0]?.id ?? "";
  useEffect(() => setChosen(first), [first]);

  return (
    <Command shouldFilter={false} label={t("palette.title")} loop value={chosen} onValueChange={setChosen}>
      <Command.Input
        value={text}
        onValueChange={setText}
        placeholder={t("palette.placeholder")}
        className="h-12 w-full border-b border-line bg-transparent px-4 text-base outline-none"
      />
      <FilterProblems problems={problems} text={text} onText={setText} />
      <Command.List label={t("palette.results")} className="max-h-[55vh] overflow-y-auto p-1.5">
        {first === "" ? (
          <p className="px-3 py-6 text-center text-muted">
            {away ? t("palette.away") : isFetching ? t("palette.searching") : t("palette.nothing", { text })}
          </p>
        ) : null}
        {shownRecents.length > 0 ? <Group heading={t("palette.recent")}>{shownRecents}</Group> : null}
        {found.length > 0 ? (
          <Group heading={t("palette.assets")}>
            {found.map(({ id, name, kind, role, addresses }) =>
              assetItem(id, { name, kind, role: role ?? null }, addresses),
            )}
          </Group>
        ) : null}
        {doing.length > 0 ? <Group heading={t("palette.do")}>{doing.map(lineItem)}</Group> : null}
        {going.length > 0 ? <Group heading={t("palette.pages")}>{going.map(lineItem)}</Group> : null}
      </Command.List>
    </Command>
  );
}

/** The assets that a text asks for, in the one filter language. */
function useAssets(text: string) {
  const wanted = useDeferredValue(text.trim());
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(() => parseFilter(wanted, vocabulary), [wanted, vocabulary]);
  const asks = !blocked && Object.keys(filter).length > 0;
  const { data, isFetching, isSuccess } = useQuery({
    queryKey: ["assets", "palette", filter],
    queryFn: async () =>
      (await take(http.GET("/api/v1/assets", { params: { query: { ...filter, limit: 8 } } }))).items,
    enabled: asks,
    placeholderData: (previous) => previous,
  });
  const found = asks ? (data ?? []) : [];
  const told = problems.filter((one) => one.type !== "doubt" || (isSuccess && found.length === 0));
  return { found, problems: told, isFetching };
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
