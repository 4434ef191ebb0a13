/**
 * Nothing that was typed is lost unasked. Owns the list of forms with changes, and the one question that stands between them and
 * whatever would take them away: Escape, a click elsewhere, Cancel, another row, another page, the back button, a reload, a closed tab.
 *
 * A form says here that it has changes (`useUnsaved`; `Form` does it). A part that can be closed makes a scope (`GuardScope`) and
 * closes by `leave`, which asks only for what is inside it. Navigation and the end of the tab ask for everything.
 */
import {
  createContext,
  Fragment,
  type ReactNode,
  use,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";

/** From the outermost scope to the innermost. */
type Path = readonly symbol[];
interface Entry {
  path: Path;
  changed: boolean;
  /** Its changes are on their way to the server: what closes the form now is that they were saved. */
  saving: boolean;
}

const entries = new Set<Entry>();
/** Work that ends forms on purpose, such as a deletion that was confirmed. */
let deliberate = 0;

/** Whether something would be lost, here or within a scope. */
export function hasUnsaved(scope?: symbol): boolean {
  if (deliberate > 0) return false;
  for (const { path, changed, saving } of entries)
    if (changed && !saving && (scope === undefined || path.includes(scope))) return true;
  return false;
}

export function forget(scope?: symbol): void {
  for (const entry of entries) if (scope === undefined || entry.path.includes(scope)) entry.changed = false;
}

/** Whether something within a scope was typed and is not saved, or is still on its way to the server. */
function isTyped(scope: symbol | undefined): boolean {
  for (const { path, changed } of entries)
    if (changed && (scope === undefined || path.includes(scope))) return true;
  return false;
}

/** Whether the end of the page would lose something: also what is on its way to the server. */
export function endLoses(): boolean {
  return [...entries].some(({ changed }) => changed);
}

// Browsers ask in words of their own.
addEventListener("beforeunload", (event) => {
  if (endLoses()) event.preventDefault();
});

/** Runs what may close forms without a question, because the question was another one. */
export async function deliberately<T>(work: () => Promise<T>): Promise<T> {
  deliberate += 1;
  try {
    return await work();
  } finally {
    deliberate -= 1;
  }
}

interface Question {
  answer: Promise<boolean>;
  settle: (discard: boolean) => void;
}
let question: Question | null = null;
const watchers = new Set<() => void>();
export const watchQuestion = (changed: () => void) => {
  watchers.add(changed);
  return () => watchers.delete(changed);
};

export const isAsked = (): boolean => question !== null;

function setQuestion(next: Question | null): void {
  question = next;
  for (const changed of watchers) changed();
}

/** Whether the changes may go. */
export function ask(): Promise<boolean> {
  if (question) return question.answer;
  let settle: Question["settle"] = () => {};
  const answer = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  setQuestion({ answer, settle });
  return answer;
}

export function answer(discard: boolean): void {
  const asked = question;
  setQuestion(null);
  asked?.settle(discard);
}

/** Goes on at once when nothing would be lost, else when the person says so. */
export function leave(proceed: () => void, scope?: symbol): void {
  function go(): void {
    forget(scope);
    proceed();
  }
  // Nobody there to ask: a page without the question has no forms worth it.
  if (!hasUnsaved(scope) || watchers.size === 0) go();
  else void ask().then((discard) => discard && go());
}

const ScopeContext = createContext<Path>([]);

/** What closes as one. The function closes it, and asks first when something inside would be lost. */
export function useGuardScope(): { path: Path; leave: (proceed: () => void) => void } {
  const outer = use(ScopeContext);
  const own = useRef<symbol>(undefined);
  own.current ??= Symbol("scope");
  const scope = own.current;
  return useMemo(
    () => ({ path: [...outer, scope], leave: (proceed: () => void) => leave(proceed, scope) }),
    [outer, scope],
  );
}

export function GuardScope({ path, children }: { path: Path; children: ReactNode }) {
  return <ScopeContext value={path}>{children}</ScopeContext>;
}

/** For a button that closes what it stands in. */
export function useLeave(): (proceed: () => void) => void {
  const scope = use(ScopeContext).at(-1);
  return useCallback((proceed: () => void) => leave(proceed, scope), [scope]);
}

/**
 * Draws a form of something that has a version. A newer version begins the form anew, unless something typed would be lost: then the
 * form stays with the version that it began with, and the server refuses it if that one is no longer the newest.
 *
 * A form that stays open after it was saved calls `saved` with the server's answer. It then counts as unchanged, and begins anew from
 * that answer. The focus stays on the field of the same name.
 */
export function FromVersion<T extends { version: number }>({
  of,
  children,
}: {
  of: T;
  children: (held: T, saved: (answer: T) => void) => ReactNode;
}) {
  const { path } = useGuardScope();
  const scope = path.at(-1);
  const held = useRef(of);
  const latest = useRef(of);
  // What the page still shows of the time before the form was saved.
  const before = useRef<T>(undefined);
  const [saves, setSaves] = useState(0);
  const focused = useRef<string>(undefined);
  if (of !== before.current && !isTyped(scope)) held.current = of;
  const saved = useCallback(
    (answer: T) => {
      forget(scope);
      before.current = latest.current;
      held.current = answer;
      const { activeElement } = document;
      focused.current = activeElement?.getAttribute("name") ?? undefined;
      setSaves((count) => count + 1);
    },
    [scope],
  );
  useLayoutEffect(() => {
    latest.current = of;
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: only after a save
  useLayoutEffect(() => {
    const name = focused.current;
    focused.current = undefined;
    if (name) document.getElementsByName(name)[0]?.focus();
  }, [saves]);
  return (
    <GuardScope path={path}>
      <Fragment key={`${held.current.version} ${saves}`}>{children(held.current, saved)}</Fragment>
    </GuardScope>
  );
}

interface Unsaved {
  /** Call it when the changes were saved, before the form is closed. */
  saved: () => void;
  /** Says whether the changes are on their way. */
  saving: (busy: boolean) => void;
  /** Call it when something was typed after all. */
  touched: () => void;
}

/** Says that something here has changes that are not saved. */
export function useUnsaved(changed: boolean): Unsaved {
  const path = use(ScopeContext);
  const ref = useRef<Entry>(undefined);
  ref.current ??= { path, changed, saving: false };
  const entry = ref.current;
  useEffect(() => {
    entry.path = path;
    entry.changed = changed;
    entries.add(entry);
    return () => {
      entries.delete(entry);
    };
  }, [entry, path, changed]);
  return useMemo(
    () => ({
      saved: () => {
        entry.changed = false;
      },
      saving: (busy: boolean) => {
        entry.saving = busy;
      },
      touched: () => {
        entry.changed = true;
      },
    }),
    [entry],
  );
}

/** Parts of an address that change what a list shows, and close nothing. */
const OF_THE_LIST = new Set(["q", "sort", "network", "view"]);

interface Location {
  pathname: string;
  search: object;
}

/** Whether the forms of a page are still there after a change of its address. */
export function keepsForms(from: Location, to: Location): boolean {
  if (from.pathname !== to.pathname) return false;
  const place = ({ search }: Location) =>
    JSON.stringify(
      Object.entries(search)
        .filter(([key, value]) => value !== undefined && !OF_THE_LIST.has(key))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return place(from) === place(to);
}
