/** The two pages of the vault, as the head of both: what is in it, and what seals it. */
import { type Permission, useAuth } from "#/api/session";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/vault.json";
import { PageTabs } from "#/ui/page-tabs";

addWords(words);

const tabs = [
  { to: "/vault", key: "credentials", needs: "credentials:read" },
  { to: "/vault/keys", key: "keys", needs: "vault:read" },
] as const satisfies { to: string; key: string; needs: Permission }[];

export function VaultTabs() {
  const { t } = useTranslation();
  const { can } = useAuth();
  return (
    <PageTabs
      label={t("vault.pages")}
      tabs={tabs.filter((tab) => can(tab.needs)).map(({ to, key }) => ({ to, label: t(`vault.tab.${key}`) }))}
    />
  );
}
