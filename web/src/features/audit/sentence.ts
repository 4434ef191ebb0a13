/** What an entry says, as a sentence for people; and which entries are told together. */
import type { AuditAction, AuditEntry } from "#/api/schema";
import type { useTranslation } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { readDetail } from "./diff";
import { fieldInLine } from "./words";

type T = ReturnType<typeof useTranslation>["t"];

/** The compiler refuses an action without words, and words without an action. */
const labels: Record<AuditAction, string> = words.audit.actions;
words.audit.actions satisfies Record<AuditAction, string>;
words.audit.did satisfies Record<`${AuditAction}_one` | `${AuditAction}_other`, string>;
true satisfies Exclude<keyof typeof labels, AuditAction> extends never ? true : false;

const isAction = (word: string): word is AuditAction => Object.hasOwn(labels, word);

export const actions = (Object.keys(labels) as AuditAction[]).sort((a, b) =>
  labels[a].localeCompare(labels[b]),
);

export function actionLabel(action: string, t: T): string {
  return isAction(action) ? t(`audit.actions.${action}`) : action;
}

/**
 * What one actor did in a row is told in one line for each action, even where the actions take turns: "added 12 assets", "added 12
 * addresses". As soon as somebody else does something, a new row begins.
 */
export interface Batch {
  /** The first in the list. */
  entry: AuditEntry;
  entries: AuditEntry[];
}

/** Entries further apart than this are told apart. */
const TOGETHER_MS = 10 * 60_000;
/** Entries of one line: a list must grow while it is read on. */
const TOGETHER_MOST = 100;

export function batches(rows: readonly AuditEntry[]): Batch[] {
  const all: Batch[] = [];
  for (const entry of rows) {
    const batch = inARow(all, entry).find(({ entry: first, entries }) => {
      const before = entries.at(-1);
      return isAlike(first, entry) && entries.length < TOGETHER_MOST && before && isNear(before, entry);
    });
    if (batch) batch.entries.push(entry);
    else all.push({ entry, entries: [entry] });
  }
  return all;
}

/** The last lines, as far as they are by the actor of `entry`; the last one first. */
function inARow(all: readonly Batch[], entry: AuditEntry): Batch[] {
  const others = all.findLastIndex((batch) => !isBySame(batch.entry, entry));
  return all.slice(others + 1).reverse();
}

function isBySame(one: AuditEntry, other: AuditEntry): boolean {
  const [{ actor: a }, { actor: b }] = [one, other];
  return (a.kind === b.kind && a.id === b.id && a.name === b.name) || (isOfSetup(one) && isOfSetup(other));
}

function isAlike(a: AuditEntry, b: AuditEntry): boolean {
  return eventOf(a) === eventOf(b) && hasFailed(a) === hasFailed(b);
}

/** What several entries are about together, or the action of one. */
function eventOf(entry: AuditEntry): string {
  if (isOfSetup(entry)) return "setup";
  return isOfInvite(entry) ? "invite" : entry.action;
}

function isNear(a: AuditEntry, b: AuditEntry): boolean {
  return Math.abs(Date.parse(a.at) - Date.parse(b.at)) <= TOGETHER_MS;
}

/** The setup makes the first user, which is one event for whoever reads it. */
const isOfSetup = ({ action, detail }: AuditEntry) =>
  action === "setup_completed" || (action === "user_created" && detail.setup === true);

/** Whoever accepts an invite becomes a user, which is one event too. */
const isOfInvite = ({ action, detail }: AuditEntry) =>
  action === "invite_accepted" || (action === "user_created" && "invited_by" in detail);

/** A test that did not reach its end, or was refused there. */
const hasFailed = ({ action, detail }: AuditEntry) =>
  action.endsWith("_tested") && (detail.delivered === false || detail.ok === false);

export function sentence(entries: readonly AuditEntry[], t: T): string {
  const [entry] = entries;
  if (!entry) return "";
  const who = actorName(entry, t);
  if (!isAction(entry.action)) return t("audit.unknownAction", { who, action: entry.action });
  if (entries.length > 1 && entries.every(isOfSetup)) return t("audit.setUp", { who: setUpBy(entries, t) });
  if (entries.every(isOfInvite) && entries.some(({ action }) => action === "user_created"))
    return t("audit.joined", { who });
  // Whoever signs in for the first time is created by nobody else.
  if (entries.length === 1 && entry.action === "user_created" && isSigningIn(entry))
    return t("audit.becameUser", { who });
  const what = commonName(entries);
  if (entry.action === "outbound_exceptions_set" && entries.length === 1 && !what)
    return t("audit.noExceptions", { who });
  const renamed = entries.length === 1 ? renaming(entry) : undefined;
  if (renamed) return t("audit.renamed", { who, ...renamed });
  const count = entries.reduce((sum, one) => sum + weight(one), 0);
  const found = entries.length === 1 ? newFindings(entry) : undefined;
  let text = t(`audit.did.${entry.action}`, { who, what, count });
  if (found !== undefined)
    text = found === 0 ? t("audit.nothingNew", { what }) : t("audit.scanEnded", { what, count: found });
  else if (entry.action === "findings_recorded") text = recorded(entries, { who, what, count }, t);
  if (hasFailed(entry))
    text = t(entry.detail.delivered === false ? "audit.notDelivered" : "audit.testFailed", { text });
  // What stands in brackets is about the name; without one it is left out.
  return (count === 2 ? text.replace(/\b2 times\b/, t("audit.twice")) : text)
    .replace(/\[([^\]]*)\]/g, what ? "$1" : "")
    .replace(/\s+/g, " ")
    .trim();
}

/** Findings that are new, and those that were there and are known better now. */
function recorded(
  entries: readonly AuditEntry[],
  said: { who: string; what: string; count: number },
  t: T,
): string {
  const updated = entries.reduce((sum, { detail }) => sum + (Number(detail.updated) || 0), 0);
  const { who, what, count } = said;
  if (count === 0)
    return t(updated === 0 ? "audit.onlyDetails" : "audit.updated", { who, what, count: updated });
  const text = t("audit.did.findings_recorded", said);
  return updated === 0 ? text : t("audit.andUpdated", { text, count: updated });
}

/** What was changed: names of fields. */
export function changed(entry: AuditEntry, t: T): string[] {
  return readDetail(entry.detail).changes.flatMap(({ field }) => fieldInLine(field, t) || []);
}

function setUpBy(entries: readonly AuditEntry[], t: T): string {
  const user = entries.find(({ action }) => action === "user_created") ?? entries[0];
  return user?.entity_name ?? text(user?.detail.username) ?? t("audit.somebody");
}

function commonName(entries: readonly AuditEntry[]): string {
  const names = new Set(
    entries.map((entry) => entry.entity_name ?? text(entry.detail.username) ?? inDetail(entry)),
  );
  const [name] = names;
  return names.size === 1 ? (name ?? "") : "";
}

/** The only finding of a review, or the exceptions that a server began with. */
function inDetail({
  action,
  detail: { findings, outbound_allow, scan_allow },
}: AuditEntry): string | undefined {
  if (action === "outbound_exceptions_set")
    return [outbound_allow, scan_allow].flat().filter(text).join(", ") || undefined;
  if (!Array.isArray(findings) || findings.length !== 1) return undefined;
  return text((findings[0] as { title?: unknown } | null)?.title);
}

/** What a change of nothing but the name did. */
function renaming({ action, detail }: AuditEntry): { before: string; after: string } | undefined {
  if (!action.endsWith("_updated")) return undefined;
  const [change, ...more] = readDetail(detail).changes;
  const [before, after] = [text(change?.before), text(change?.after)];
  return change?.field === "name" && more.length === 0 && before && after ? { before, after } : undefined;
}

/** How many findings a scan that came to its end has made. */
function newFindings({ action, detail: { status, findings_new: found } }: AuditEntry): number | undefined {
  const ended = action === "scan_finished" && status === "completed";
  return ended && typeof found === "number" ? found : undefined;
}

/** How many things one entry is about. */
function weight({ action, detail }: AuditEntry): number {
  if (action === "findings_recorded") return [detail.new].flat().filter(text).length;
  const { count, entries, placed, accepted } = detail;
  const many = Array.isArray(accepted) ? accepted.length : (count ?? entries ?? placed);
  return typeof many === "number" && many > 0 ? many : 1;
}

/** How entries by the same actor are found: one who signs in is found as the user, with what that user did. */
export function actorSearch({ actor, ...entry }: AuditEntry, t: T): string {
  return isSigningIn({ actor }) ? actorName({ actor, ...entry }, t) : actor.name;
}

const isSigningIn = ({ actor }: Pick<AuditEntry, "actor">) => /^(sign-in|setup) \(/.test(actor.name);

/** Actors that are no people are named for what they are: the log keeps them as `hook (name)`, `sign-in (name)` and the like. */
function actorName(entry: AuditEntry, t: T): string {
  const { name, kind } = entry.actor;
  if (kind === "user") return name;
  if (kind === "operator") return t("audit.operator");
  if (name === "scanner") return t("audit.scanner");
  if (name === "server") return t("audit.server");
  if (name === "command line") return t("audit.commandLine");
  const hook = /^hook \((.*)\)$/.exec(name);
  if (hook) return t("audit.hook", { name: hook[1] });
  // Whoever signs in, or opens an invitation, is nobody yet; the entry is about the user that they become.
  if (isSigningIn(entry)) {
    const user = entry.entity_kind === "user" ? entry.entity_name : null;
    return user ?? text(entry.detail.username) ?? t("audit.somebody");
  }
  return name;
}

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
