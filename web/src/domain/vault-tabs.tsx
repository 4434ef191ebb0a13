/** The two pages of the vault, as the head of both: what is in it, and what seals it. */
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/vault.json";
import { PageTabs } from "#/ui/page-tabs";
import { useMaySee } from "./may-see";

addWords(words);

const tabs = [
  { to: "/vault", key: "credentials" },
  { to: "/vault/keys", key: "keys" },
] as const;

export function VaultTabs() {
  const { t } = useTranslation();
  const maySee = useMaySee();
  return (
    <PageTabs
      label={t("vault.pages")}
      tabs={tabs.filter((tab) => maySee(tab.to)).map(({ to, key }) => ({ to, label: t(`vault.tab.${key}`) }))}
    />
  );
}
