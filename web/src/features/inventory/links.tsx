/** Links of one asset. Only links drawn by hand may be removed: the others would come back with the next scan. */
import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { http, take } from "#/api/client";
import { assetQuery } from "#/api/queries";
import type { Asset, AssetDetail, Link, LinkKind } from "#/api/schema";
import { KindIcon } from "#/domain/asset";
import { distinct } from "#/domain/product";
import { useHidden, useRemoval } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import { IconButton } from "#/ui/button";
import { Badge, ErrorBox } from "#/ui/feedback";
import { SelectField, TextField } from "#/ui/field";
import { Section } from "#/ui/panel";
import { InlineForm } from "./parts";
import { useDrawLink } from "./queries";

const kinds: readonly LinkKind[] = ["ethernet", "wifi", "virtual", "dependency", "other"];
const SHOWN = 30;

export function Links({
  asset,
  writes,
  onOpen,
}: {
  asset: AssetDetail;
  writes: boolean;
  onOpen: (id: string) => void;
}) {
  const { t } = useTranslation();
  const hidden = useHidden();
  const [drawing, setDrawing] = useState(false);
  const rows = asset.links.filter((link) => !hidden.has(link.id));
  return (
    <Section
      title={t("asset.links")}
      action={
        writes ? (
          <IconButton label={t("link.draw")} className="size-7" onClick={() => setDrawing(true)}>
            <Plus aria-hidden className="size-4" />
          </IconButton>
        ) : null
      }
    >
      {drawing ? <DrawLink asset={asset} onDone={() => setDrawing(false)} /> : null}
      {rows.length > 0 ? (
        <ul className="divide-y divide-line border-y border-line">
          {rows.slice(0, SHOWN).map((link) => (
            <LinkRow key={link.id} link={link} from={asset.id} writes={writes} onOpen={onOpen} />
          ))}
        </ul>
      ) : drawing ? null : (
        <p className="text-muted">{t("link.none")}</p>
      )}
      {rows.length > SHOWN ? (
        <p className="mt-1 text-muted">{t("link.more", { count: rows.length - SHOWN })}</p>
      ) : null}
    </Section>
  );
}

function LinkRow({
  link,
  from,
  writes,
  onOpen,
}: {
  link: Link;
  from: string;
  writes: boolean;
  onOpen: (id: string) => void;
}) {
  const { t } = useTranslation();
  const remove = useRemoval();
  const otherId = link.a_asset_id === from ? link.b_asset_id : link.a_asset_id;
  const { data: other } = useQuery(assetQuery(otherId));
  const name = other?.name ?? "…";
  return (
    <li className="flex min-h-9 items-center gap-2 py-1">
      {other ? <KindIcon kind={other.kind} role={other.role} /> : null}
      <button
        type="button"
        className="min-w-0 truncate font-medium hover:underline"
        onClick={() => onOpen(otherId)}
      >
        {name}
      </button>
      <span className="min-w-0 truncate text-muted">{link.label ?? t(`linkKind.${link.kind}`)}</span>
      <span className="ml-auto flex items-center">
        <Badge>{t(`evidence.${link.evidence}`)}</Badge>
        {writes && link.evidence === "drawn" ? (
          <IconButton
            className="size-7"
            label={t("link.delete", { name })}
            onClick={() =>
              remove({
                ids: [link.id],
                text: t("link.deleted", { name }),
                resource: "links",
                send: (id) => http.DELETE("/api/v1/links/{id}", { params: { path: { id } } }),
                invalidate: [["assets"], ["map"]],
              })
            }
          >
            <Trash2 aria-hidden className="size-3.5" />
          </IconButton>
        ) : null}
      </span>
    </li>
  );
}

function DrawLink({ asset, onDone }: { asset: Asset; onDone: () => void }) {
  const { t } = useTranslation();
  const draw = useDrawLink();
  const [text, setText] = useState("");
  const [target, setTarget] = useState<Asset | null>(null);
  const [kind, setKind] = useState<LinkKind>("ethernet");
  const [label, setLabel] = useState("");
  const [missing, setMissing] = useState(false);
  const q = useDeferredValue(text.trim());
  const found = useQuery({
    queryKey: ["assets", "pick", q],
    queryFn: async () =>
      (await take(http.GET("/api/v1/assets", { params: { query: { limit: 8, ...(q ? { q } : {}) } } })))
        .items,
    enabled: !target,
    placeholderData: (previous) => previous,
  });
  return (
    <InlineForm
      changed={!!target || text !== "" || label !== "" || kind !== "ethernet"}
      busy={draw.isPending}
      trouble={draw.error ? <ErrorBox error={draw.error} /> : null}
      onCancel={onDone}
      onSubmit={async () => {
        if (!target) return setMissing(true);
        const link = { a_asset_id: asset.id, b_asset_id: target.id, kind, label: label.trim() || null };
        // The error is shown from the mutation.
        await draw.mutateAsync(link).then(onDone, () => {});
      }}
    >
      <TextField
        label={t("link.to")}
        autoFocus
        autoComplete="off"
        value={target ? target.name : text}
        error={missing && !target ? t("link.choose") : undefined}
        onChange={(event) => {
          setTarget(null);
          setText(event.target.value);
        }}
      />
      {!target ? (
        <ul aria-label={t("link.candidates")} className="max-h-44 overflow-y-auto">
          {found.data
            ?.filter((other) => other.id !== asset.id)
            .map((other) => (
              <li key={other.id}>
                <button
                  type="button"
                  className="flex h-8 w-full items-center gap-2 rounded px-1.5 text-left hover:bg-hover"
                  onClick={() => setTarget(other)}
                >
                  <KindIcon kind={other.kind} role={other.role} />
                  <span className="min-w-0 truncate">{other.name}</span>
                  <span className="mono ml-auto text-xs text-muted">
                    {distinct([other.name, ...other.addresses])[1]}
                  </span>
                </button>
              </li>
            ))}
        </ul>
      ) : null}
      <div className="grid grid-cols-2 gap-3">
        <SelectField
          label={t("link.kind")}
          value={kind}
          onChange={(event) => setKind(event.target.value as LinkKind)}
        >
          {kinds.map((value) => (
            <option key={value} value={value}>
              {t(`linkKind.${value}`)}
            </option>
          ))}
        </SelectField>
        <TextField
          label={t("link.label")}
          optional
          value={label}
          maxLength={200}
          onChange={(event) => setLabel(event.target.value)}
        />
      </div>
    </InlineForm>
  );
}
