/** The way to every page: a rail at the left, on phones a bar at the foot with the first few and a menu of the rest. */
import { Link, useLocation, useNavigate } from "@tanstack/react-router";
import { Ellipsis } from "lucide-react";
import { useTranslation } from "#/i18n";
import { cx } from "#/ui/cx";
import { Menu, MenuItem } from "#/ui/menu";
import type { Page } from "./pages";
import { useWaiting } from "./review";

/** As many as have room for their names at 390 px. */
const AT_FOOT = 5;

const entry = cx(
  "relative flex h-9 items-center gap-3 rounded-md px-2.5 text-muted hover:bg-hover hover:text-ink",
  "max-md:h-14 max-md:min-w-0 max-md:flex-1 max-md:flex-col max-md:justify-center max-md:gap-1 max-md:px-0 max-md:text-[10px] md:max-lg:justify-center md:max-lg:px-0",
);
const here = "bg-accent-soft text-accent-text! font-medium max-md:bg-transparent";

export function Rail({ pages }: { pages: readonly Page[] }) {
  const { t } = useTranslation();
  const waiting = useWaiting();
  const shown = pages.length > AT_FOOT ? AT_FOOT - 1 : AT_FOOT;
  return (
    <nav
      aria-label={t("frame.pages")}
      className="flex shrink-0 border-line bg-surface max-md:justify-around max-md:border-t max-md:pb-[env(safe-area-inset-bottom)] md:w-14 md:flex-col md:gap-0.5 md:border-r md:p-2 lg:w-48"
    >
      {pages.map((page, at) => (
        <Link
          key={page.key}
          to={page.to}
          title={t(`pages.${page.key}`)}
          className={cx(entry, at >= shown && "max-md:hidden")}
          activeProps={{ className: here, "aria-current": "page" }}
        >
          <page.icon aria-hidden className="size-[18px] shrink-0" strokeWidth={1.75} />
          <span className="max-md:max-w-full max-md:truncate md:max-lg:sr-only">
            {t(`pages.${page.key}`)}
          </span>
          {page.key === "discovery" && waiting > 0 ? <Waiting count={waiting} /> : null}
        </Link>
      ))}
      {pages.length > shown ? <More pages={pages.slice(shown)} /> : null}
    </nav>
  );
}

/** How many findings wait for review. */
function Waiting({ count }: { count: number }) {
  const { t } = useTranslation();
  return (
    <span className="ml-auto rounded-full bg-accent px-1.5 text-[11px] leading-[18px] font-semibold text-accent-ink tabular-nums max-lg:absolute max-lg:top-0.5 max-lg:left-1/2 max-lg:ml-1 max-lg:px-1 max-lg:leading-4">
      <span aria-hidden>{count > 999 ? "999+" : count}</span>
      <span className="sr-only">{t("frame.waiting", { count })}</span>
    </span>
  );
}

function More({ pages }: { pages: readonly Page[] }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const path = useLocation({ select: (location) => location.pathname });
  const active = pages.find(({ to }) => path === to || path.startsWith(`${to}/`));
  return (
    <Menu
      label={t("frame.more")}
      trigger={
        <button type="button" className={cx(entry, "md:hidden", active && here)}>
          <Ellipsis aria-hidden className="size-[18px] shrink-0" strokeWidth={1.75} />
          <span className="max-w-full truncate">{active ? t(`pages.${active.key}`) : t("frame.more")}</span>
        </button>
      }
    >
      {pages.map((page) => (
        <MenuItem key={page.key} onSelect={() => void navigate({ to: page.to })}>
          <page.icon aria-hidden className="size-4 text-muted" />
          {t(`pages.${page.key}`)}
        </MenuItem>
      ))}
    </Menu>
  );
}
