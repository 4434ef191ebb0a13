/**
 * Code that is loaded later. Owns: fetching it while the browser is idle, so that a page opens although the server is away; and what
 * is shown when it does not come (our own page with a way on, never the browser's). After an upgrade the old names are gone: then the
 * page is loaded anew, once and only when nothing typed would be lost, else that is offered.
 */
import { CloudDownload } from "lucide-react";
import { type ComponentType, type ReactNode, useEffect, useRef, useState } from "react";
import { reach } from "#/api/client";
import { useAwaySince } from "#/api/hooks";
import { useTranslation } from "#/i18n";
import { Button } from "./button";
import { Empty } from "./feedback";
import { endLoses } from "./guard";

const NAME = "MissingCode";
const RELOADED = "cb.reloaded";

// The router would load the whole page anew when it meets the browser's words, which is the browser's own error page while the server
// is away. It does not know ours.
addEventListener("vite:preloadError", (event) => {
  const error: unknown = (event as Event & { payload?: unknown }).payload;
  if (!(error instanceof Error)) return;
  error.name = NAME;
  error.message = `Code is missing: ${error.message}`;
});

/** Whether code did not come, in contrast to code that failed. */
export function isMissingCode(error: unknown): boolean {
  return error instanceof Error && error.name === NAME;
}

/** Which build this page is of. */
const build = (): string => document.querySelector<HTMLScriptElement>("script[type=module][src]")?.src ?? "";

/** Loads the page anew, once for each build. Answers whether it does. */
function reloadOnce(): boolean {
  if (endLoses() || sessionStorage.getItem(RELOADED) === build()) return false;
  sessionStorage.setItem(RELOADED, build());
  location.reload();
  return true;
}

type Load = () => Promise<unknown>;
const parts = new Set<Load>();

/** Says that the code is missing, and goes on by itself when it can: `retry` fetches it again and fails if it still does not come. `page`: in place of a whole page. */
export function MissingCode({ retry, page = false }: { retry: Load; page?: boolean }) {
  const { t } = useTranslation();
  const away = useAwaySince() !== null;
  // A failure may be old: the code was fetched ahead while the server was away.
  const [state, setState] = useState<"trying" | "away" | "stale">("trying");
  const latest = useRef(retry);
  useEffect(() => {
    latest.current = retry;
  });
  useEffect(() => {
    if (state !== "trying") return;
    let shown = true;
    latest.current().catch(async () => {
      const here = await reach.doubt();
      if (!shown || (here && reloadOnce())) return;
      setState(here ? "stale" : "away");
    });
    return () => {
      shown = false;
    };
  }, [state]);
  if (state === "away" && !away) setState("trying");
  if (state === "trying") return null;
  return (
    <Empty
      icon={<CloudDownload aria-hidden />}
      title={t("later.title")}
      heading={page ? "h1" : "h2"}
      action={
        state === "away" ? (
          <Button look="primary" onClick={() => setState("trying")}>
            {t("error.retry")}
          </Button>
        ) : (
          <Button look="primary" onClick={() => location.reload()}>
            {t("later.reload")}
          </Button>
        )
      }
    >
      <p role="alert">{t(state === "away" ? "later.away" : "later.stale")}</p>
    </Empty>
  );
}

/** A part of a page whose code is loaded when it is shown, or before. */
interface Part<P> {
  load: Load;
  loaded: ComponentType<P> | undefined;
}

export function later<P extends object>(code: () => Promise<{ default: ComponentType<P> }>): Part<P> {
  const part: Part<P> = {
    load: async () => {
      part.loaded ??= (await code()).default;
    },
    loaded: undefined,
  };
  parts.add(part.load);
  return part;
}

interface LaterProps<P> {
  part: Part<P>;
  /** What is shown until it is there. */
  fallback?: ReactNode;
  /** What stands around the words that it did not come. */
  around?: (words: ReactNode) => ReactNode;
  props: P;
}

export function Later<P extends object>({
  part,
  fallback = null,
  around = (words) => words,
  props,
}: LaterProps<P>) {
  const [failed, setFailed] = useState(false);
  const [, setHere] = useState(!!part.loaded);
  useEffect(() => {
    let shown = true;
    part.load().then(
      () => shown && setHere(true),
      () => shown && setFailed(true),
    );
    return () => {
      shown = false;
    };
  }, [part]);
  const { loaded: Loaded } = part;
  if (Loaded) return <Loaded {...props} />;
  if (!failed) return fallback;
  return around(<MissingCode retry={() => part.load().then(() => setHere(true))} />);
}

const idle = (work: () => void): void => {
  // Not every browser tells when it is idle.
  if ("requestIdleCallback" in window) requestIdleCallback(work, { timeout: 10_000 });
  else setTimeout(work, 1_000);
};

/** Whether somebody pays for each byte, or waits for it. */
function isFrugal(): boolean {
  const { connection } = navigator as Navigator & {
    connection?: { saveData?: boolean; effectiveType?: string };
  };
  return !!connection?.saveData || /2g/.test(connection?.effectiveType ?? "");
}

/** Fetches code one part after another while the browser is idle. What does not come now is fetched when the server is back. */
export function fetchWhileIdle(pages: readonly Load[]): void {
  if (isFrugal()) return;
  const fetched = new Set<Load>();
  function next(): void {
    const load = [...pages, ...parts].find((one) => !fetched.has(one));
    if (!load) return;
    load().then(
      () => {
        fetched.add(load);
        idle(next);
      },
      () => {
        const stop = reach.watch(() => {
          if (reach.awaySince() !== null) return;
          stop();
          idle(next);
        });
      },
    );
  }
  idle(next);
}
