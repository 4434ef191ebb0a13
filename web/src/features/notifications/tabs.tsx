/** The pages of notification, as the head of each: who is told, and how. */
import { Link } from "@tanstack/react-router";
import { useTranslation } from "#/i18n";
import { cx } from "#/ui/cx";

const tabs = [{ to: "/notifications", key: "webhooks" }] as const;

export function Tabs() {
  const { t } = useTranslation();
  return (
    <nav aria-label={t("notification.pages")} className="flex gap-1 border-b border-line px-3">
      {tabs.map((tab) => (
        <Link
          key={tab.to}
          to={tab.to}
          activeOptions={{ exact: true }}
          className={cx(
            "-mb-px flex h-9 items-center border-b-2 border-transparent px-2 text-sm text-muted hover:text-ink",
            "max-md:h-11",
          )}
          activeProps={{ className: "border-accent! text-ink! font-medium", "aria-current": "page" }}
        >
          {t(`notification.tab.${tab.key}`)}
        </Link>
      ))}
    </nav>
  );
}
