/** The two pages of the vault, as the head of both: what is in it, and what seals it. */
import { Link } from "@tanstack/react-router";
import { type Permission, useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/vault.json";
import { cx } from "#/ui/cx";

addWords(words);

const tabs: readonly { to: string; key: string; needs: Permission }[] = [
  { to: "/vault", key: "credentials", needs: "credentials:read" },
  { to: "/vault/keys", key: "keys", needs: "vault:read" },
];

export function VaultTabs() {
  const { t } = useTranslation();
  const { can } = useAuth();
  return (
    <nav aria-label={t("vault.pages")} className="flex gap-1 border-b border-line px-3">
      {tabs
        .filter((tab) => can(tab.needs))
        .map((tab) => (
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
            {t(`vault.tab.${tab.key}`)}
          </Link>
        ))}
    </nav>
  );
}
