import { useQuery } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import type { UnknownProxy, UnreadableProxy } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Block } from "#/ui/page";
import { Time } from "#/ui/time";

/** Proxies that the settings do not name, and trusted ones whose words cannot be read. Nothing is shown while there are none. */
export function UnknownProxies() {
  const { data } = useQuery({ queryKey: ["proxies"], queryFn: () => take(http.GET("/api/v1/proxies")) });
  if (!data) return null;
  return (
    <>
      <Unknown proxies={data.unknown} />
      <Unreadable proxies={data.unreadable} />
    </>
  );
}

function Unknown({ proxies }: { proxies: UnknownProxy[] }) {
  const { t } = useTranslation();
  if (proxies.length === 0) return null;
  return (
    <Block title={t("settings.proxies")} text={t("settings.proxiesText")}>
      <ul className="divide-y divide-line border-y border-line">
        {proxies.map((proxy) => (
          <li key={proxy.address} className="py-2">
            <p>
              {t("settings.proxyUnknown", { address: proxy.address, header: proxy.sends })}{" "}
              <span className="text-muted">
                <Time at={proxy.first_seen} />
              </span>
            </p>
            <code className="mono break-all">{proxy.setting}</code>
            {proxy.sends !== "X-Forwarded-For" && <p>{t("settings.proxySends")}</p>}
          </li>
        ))}
      </ul>
    </Block>
  );
}

function Unreadable({ proxies }: { proxies: UnreadableProxy[] }) {
  const { t } = useTranslation();
  if (proxies.length === 0) return null;
  return (
    <Block title={t("settings.proxiesUnreadable")} text={t("settings.proxiesUnreadableText")}>
      <ul className="divide-y divide-line border-y border-line">
        {proxies.map((proxy) => (
          <li key={proxy.address} className="py-2">
            {t("settings.proxyUnreadable", { address: proxy.address, entry: proxy.entry })}{" "}
            <span className="text-muted">
              <Time at={proxy.first_seen} />
            </span>
          </li>
        ))}
      </ul>
    </Block>
  );
}
