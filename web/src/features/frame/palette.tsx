/** ⌘K: pages, actions, and everything in the inventory, by name or address. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { LogOut, Plus, Radar, UserCog } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactNode, useDeferredValue, useMemo, useState } from "react";
import { http, take } from "#/api/client";
import { useAuth } from "#/api/session";
import { KindIcon } from "#/domain/asset";
import { parseFilter } from "#/domain/filter/grammar";
import { FilterProblems } from "#/domain/filter/problems";
import { useVocabulary } from "#/domain/filter/vocabulary";
import { distinct } from "#/domain/product";
import { useTranslation } from "#/i18n";
import type { Page } from "./pages";

interface PaletteProps {
  open: boolean;
  onClose: () => void;
  pages: readonly Page[];
}

export default function Palette({ open, onClose, pages }: PaletteProps) {
  const { t } = useTranslation();
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="appear fixed inset-0 z-40 bg-[rgb(0_0_0/0.55)]" />
        <Radix.Content
          aria-describedby={undefined}
          className="appear fixed top-[10vh] left-1/2 z-50 w-[calc(100vw-1.5rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-lg border border-line-strong bg-raised shadow-float"
        >
          <Radix.Title className="sr-only">{t("palette.title")}</Radix.Title>
          <PaletteBody onClose={onClose} pages={pages} />
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function PaletteBody({ onClose, pages }: Omit<PaletteProps, "open">) {
  const { t } = useTranslation();
  const { can, signOut } = useAuth();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text.trim());
  const vocabulary = useVocabulary();
  const { filter, problems, blocked } = useMemo(() => parseFilter(wanted, vocabulary), [wanted, vocabulary]);
  const asks = !blocked && Object.keys(filter).length > 0;
  const assets = useQuery({
    queryKey: ["assets", "palette", filter],
    queryFn: async () =>
      (await take(http.GET("/api/v1/assets", { params: { query: { ...filter, limit: 8 } } }))).items,
    enabled: asks,
    placeholderData: (previous) => previous,
  });
  const found = asks ? (assets.data ?? []) : [];
  const told = problems.filter((one) => one.type !== "doubt" || (assets.isSuccess && found.length === 0));
  const matches = (label: string) => label.toLowerCase().includes(text.trim().toLowerCase());
  const run = (work: () => void) => () => {
    onClose();
    work();
  };

  const actions = [
    {
      key: "newAsset" as const,
      icon: Plus,
      shown: can("inventory:write"),
      run: () => void navigate({ to: "/inventory", search: { panel: "new" } }),
    },
    {
      key: "newScan" as const,
      icon: Radar,
      shown: can("discovery:write"),
      run: () => void navigate({ to: "/discovery", search: { scan: "new" } }),
    },
    { key: "account" as const, icon: UserCog, shown: true, run: () => void navigate({ to: "/account" }) },
    { key: "signOut" as const, icon: LogOut, shown: true, run: () => void signOut() },
  ].filter((action) => action.shown && matches(t(`palette.actions.${action.key}`)));
  const shownPages = pages.filter((page) => matches(t(`pages.${page.key}`)));

  return (
    <Command shouldFilter={false} label={t("palette.title")} loop>
      <Command.Input
        value={text}
        onValueChange={setText}
        placeholder={t("palette.placeholder")}
        className="h-12 w-full border-b border-line bg-transparent px-4 text-base outline-none"
      />
      <FilterProblems problems={told} text={text} onText={setText} />
      <Command.List label={t("palette.results")} className="max-h-[55vh] overflow-y-auto p-1.5">
        {found.length === 0 && shownPages.length === 0 && actions.length === 0 ? (
          <p className="px-3 py-6 text-center text-muted">
            {assets.isFetching ? t("palette.searching") : t("palette.nothing", { text })}
          </p>
        ) : null}
        {found.length > 0 ? (
          <Group heading={t("palette.assets")}>
            {found.map((asset) => (
              <Item
                key={asset.id}
                value={asset.id}
                onSelect={run(() => void navigate({ to: "/inventory", search: { selected: asset.id } }))}
              >
                <KindIcon kind={asset.kind} role={asset.role} />
                <span className="truncate font-medium">{asset.name}</span>
                <span className="mono ml-auto truncate pl-3 text-muted">
                  {distinct([asset.name, ...asset.addresses])
                    .slice(1, 3)
                    .join(", ")}
                </span>
              </Item>
            ))}
          </Group>
        ) : null}
        {shownPages.length > 0 ? (
          <Group heading={t("palette.pages")}>
            {shownPages.map((page) => (
              <Item
                key={page.key}
                value={`page ${page.key}`}
                onSelect={run(() => void navigate({ to: page.to }))}
              >
                <page.icon className="size-4 text-muted" />
                {t(`pages.${page.key}`)}
              </Item>
            ))}
          </Group>
        ) : null}
        {actions.length > 0 ? (
          <Group heading={t("palette.do")}>
            {actions.map((action) => (
              <Item key={action.key} value={`action ${action.key}`} onSelect={run(action.run)}>
                <action.icon aria-hidden className="size-4 text-muted" />
                {t(`palette.actions.${action.key}`)}
              </Item>
            ))}
          </Group>
        ) : null}
      </Command.List>
    </Command>
  );
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
