/** What stands around every page: the rail (a bar at the foot on phones), the top bar, the palette. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { settingsQuery } from "#/api/queries";
import { useAuth } from "#/api/session";
import { AwayNotice } from "#/domain/away";
import { useMaySee } from "#/domain/may-see";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/frame.json";
import logo from "#/icon.svg?inline";
import { Dialog } from "#/ui/dialog";
import { Later, later } from "#/ui/later";
import { keepFocus } from "#/ui/lost-focus";
import { useInstanceName } from "#/ui/title";
import { AccountMenu } from "./account-menu";
import { LiveNotice } from "./live-notice";
import { pages } from "./pages";
import { Rail } from "./rail";
import { useRemember } from "./recent";
import { ScanEnds } from "./review";
import { SessionEnd, SessionEnded } from "./session-end";
import { LiveDot, ScanStatus } from "./status";
import { StorageNotice } from "./storage-notice";

addWords(words);

const Palette = later(() => import("./palette"));

export function Frame({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  const { can, me } = useAuth();
  const [palette, setPalette] = useState(false);
  const [wanted, setWanted] = useState(false);
  const maySee = useMaySee();
  useRemember(me.user.id);
  const settings = useQuery({ ...settingsQuery, enabled: can("settings:read") });
  useInstanceName(settings.data?.instance_name);
  const seen = pages.filter((page) => maySee(page.to));

  useEffect(keepFocus, []);

  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setWanted(true);
        setPalette((open) => !open);
      }
    }
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  return (
    <div className="flex h-full flex-col">
      <a
        href="#content"
        className="sr-only z-50 rounded bg-accent px-3 py-2 text-accent-ink focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        {t("frame.skip")}
      </a>
      <header className="flex h-12 shrink-0 items-center gap-2 border-b border-line bg-surface pr-2 pl-3 md:pl-4">
        <Link
          to="/map"
          className="flex items-center gap-2.5 font-semibold lg:w-44"
          aria-label={t("frame.home")}
        >
          <img src={logo} alt="" className="size-6" />
          <span className="max-lg:hidden">Circuit Breaker</span>
        </Link>
        <button
          type="button"
          onClick={() => {
            setWanted(true);
            setPalette(true);
          }}
          className="flex h-8 max-w-md min-w-0 flex-1 items-center gap-2 rounded-md border border-line bg-canvas px-2.5 text-left text-faint hover:border-line-strong"
        >
          <Search aria-hidden className="size-4 shrink-0" />
          <span className="min-w-0 flex-1 truncate">{t("frame.search")}</span>
          <kbd className="rounded border border-line px-1 font-sans text-xs max-md:hidden">
            {/mac/i.test(navigator.platform) ? "⌘K" : "Ctrl K"}
          </kbd>
        </button>
        <div className="ml-auto flex items-center gap-1 md:gap-2">
          {can("discovery:read") ? <ScanStatus /> : null}
          <LiveDot />
          <AccountMenu />
        </div>
      </header>
      <AwayNotice />
      <SessionEnd />
      <SessionEnded />
      {can("discovery:read") ? <StorageNotice /> : null}
      {can("discovery:read") ? <LiveNotice /> : null}
      {can("discovery:read") ? <ScanEnds /> : null}
      <div className="flex min-h-0 flex-1 max-md:flex-col-reverse">
        <Rail pages={seen} />
        <main id="content" tabIndex={-1} className="flex min-h-0 min-w-0 flex-1 flex-col outline-none">
          {children}
        </main>
      </div>
      {wanted ? (
        <Later
          part={Palette}
          around={(words) => (
            <Dialog title={t("palette.title")} open={palette} onClose={() => setPalette(false)}>
              {words}
            </Dialog>
          )}
          props={{ open: palette, onClose: () => setPalette(false), pages: seen }}
        />
      ) : null}
    </div>
  );
}
