import { useTranslation } from "#/i18n";
import { PageTabs } from "#/ui/page-tabs";

const tabs = [
  { to: "/notifications", key: "webhooks" },
  { to: "/notifications/channels", key: "channels" },
  { to: "/notifications/incoming", key: "incoming" },
] as const;

export function Tabs() {
  const { t } = useTranslation();
  return (
    <PageTabs
      label={t("notification.pages")}
      tabs={tabs.map(({ to, key }) => ({ to, label: t(`notification.tab.${key}`) }))}
    />
  );
}
