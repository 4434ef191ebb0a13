import type { ReactNode } from "react";
import type { AuditEntry } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { cx } from "#/ui/cx";
import { Panel, Section } from "#/ui/panel";
import { Time } from "#/ui/time";
import { type Change, forPeople, readDetail } from "./diff";
import { actionLabel, actorSearch, sentence } from "./sentence";
import { fieldWords, valueWords } from "./words";

interface EntryPanelProps {
  entry: AuditEntry;
  /** The entries that the list tells together, with this one. */
  batch: readonly AuditEntry[];
  onEntry: (seq: number) => void;
  onActor: (name: string) => void;
  onEntity: (id: string) => void;
  onClose: () => void;
}

export function EntryPanel({ entry, batch, onEntry, onActor, onEntity, onClose }: EntryPanelProps) {
  const { t } = useTranslation();
  const { actor, entity_id } = entry;
  const { changes, facts } = forPeople(readDetail(entry.detail));
  const by = actorSearch(entry, t);
  const rows: [string, string | null][] = [
    [t("audit.action"), entry.action],
    [t("audit.actor"), `${actor.name} (${t(`actor.${actor.kind}`)})`],
    [t("audit.entity"), [entry.entity_kind, entry.entity_name, entity_id].filter(Boolean).join(" ") || null],
    [t("audit.address"), entry.address],
    [t("audit.agent"), entry.agent],
    [t("error.requestId"), entry.request_id],
    [t("audit.hash"), entry.hash],
    [t("audit.prevHash"), entry.prev_hash],
  ];
  return (
    <Panel
      title={actionLabel(entry.action, t)}
      subtitle={
        <>
          {t("audit.number", { seq: entry.seq })}, <Time at={entry.at} />
        </>
      }
      onClose={onClose}
      footer={
        <>
          {entity_id ? <Button onClick={() => onEntity(entity_id)}>{t("audit.sameEntity")}</Button> : null}
          <Button onClick={() => onActor(by)}>{t("audit.sameActor", { name: by })}</Button>
        </>
      }
    >
      <p>{sentence([entry], t)}.</p>
      {actor.kind === "operator" ? <p className="mt-1.5 text-muted">{t("audit.operatorText")}</p> : null}
      {batch.length > 1 ? <Together entry={entry} batch={batch} onEntry={onEntry} /> : null}
      {changes.length > 0 ? (
        <Section title={t("audit.changes")}>
          <Changes changes={changes} />
        </Section>
      ) : null}
      {facts.length > 0 ? (
        <Section title={t("audit.detail")}>
          <dl className="grid grid-cols-[8rem_1fr] gap-x-3 gap-y-1.5">
            {facts.map(({ field, value }) => (
              <Pair key={field} name={fieldWords(field, t)}>
                <Value field={field} value={value} />
              </Pair>
            ))}
          </dl>
        </Section>
      ) : null}
      <details className="mt-5">
        <summary className="cursor-pointer py-1 text-muted hover:text-ink">{t("audit.record")}</summary>
        <dl className="mt-1.5 flex flex-col gap-2.5">
          {rows.map(([label, value]) =>
            value ? (
              <div key={label}>
                <dt className="text-xs text-muted">{label}</dt>
                <dd className="mono wrap-anywhere">{value}</dd>
              </div>
            ) : null,
          )}
          <div>
            <dt className="text-xs text-muted">{t("audit.raw")}</dt>
            <dd className="mono mt-1 overflow-x-auto rounded-md bg-sunken p-3 break-words whitespace-pre-wrap">
              {JSON.stringify(entry.detail, null, 2)}
            </dd>
          </div>
        </dl>
      </details>
    </Panel>
  );
}

function Together({ entry, batch, onEntry }: Pick<EntryPanelProps, "entry" | "batch" | "onEntry">) {
  const { t } = useTranslation();
  return (
    <Section title={t("audit.together", { count: batch.length })}>
      <ol className="-mx-2 max-h-60 overflow-y-auto">
        {batch.map((one) => (
          <li key={one.seq}>
            <button
              type="button"
              aria-current={one.seq === entry.seq}
              onClick={() => onEntry(one.seq)}
              className={cx(
                "flex min-h-8 w-full items-center gap-2 rounded-md px-2 py-1 text-left hover:bg-hover",
                one.seq === entry.seq && "bg-accent-soft",
              )}
            >
              <span className="min-w-0 flex-1 break-words">{sentence([one], t)}</span>
              <span className="shrink-0 text-muted">
                <Time at={one.at} />
              </span>
            </button>
          </li>
        ))}
      </ol>
    </Section>
  );
}

function Pair({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </>
  );
}

function Value({ field, value }: { field: string; value: unknown }) {
  const { t } = useTranslation();
  const text = valueWords(field, value, t);
  if (text === undefined) return <span className="text-faint">{t("audit.nothing")}</span>;
  return <span className="break-words whitespace-pre-wrap">{text}</span>;
}

const cell = "border-b border-line py-1.5 pr-3 align-top";

function Changes({ changes }: { changes: readonly Change[] }) {
  const { t } = useTranslation();
  return (
    <table className="w-full table-fixed border-collapse text-left">
      <thead className="text-xs text-muted">
        <tr>
          {(["field", "before", "after"] as const).map((column) => (
            <th key={column} scope="col" className="border-b border-line-strong py-1 pr-3 font-medium">
              {t(`audit.${column}`)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {changes.map(({ field, before, after }) => (
          <tr key={field}>
            <th scope="row" className={`${cell} font-normal break-words text-muted`}>
              {fieldWords(field, t) || t("audit.value")}
            </th>
            <td className={`${cell} text-muted`}>
              <Value field={field} value={before} />
            </td>
            <td className={`${cell} font-medium`}>
              <Value field={field} value={after} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
