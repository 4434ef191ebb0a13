import { useQuery } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import { useTranslation } from "#/i18n";
import { Block } from "#/ui/page";
import { Time } from "#/ui/time";

/** Proxies that nobody has told the server about. There is nothing to see while there are none. */
export function UnknownProxies() {
  const { t } = useTranslation();
  const { data } = useQuery({ queryKey: ["proxies"], queryFn: () => take(http.GET("/api/v1/proxies")) });
  if (!data || data.unknown.length === 0) return null;
  return (
    <Block title={t("settings.proxies")} text={t("settings.proxiesText")}>
      <ul className="divide-y divide-line border-y border-line">
        {data.unknown.map((proxy) => (
          <li key={proxy.address} className="py-2">
            <p>
              {t("settings.proxyUnknown", { address: proxy.address })}{" "}
              <span className="text-muted">
                <Time at={proxy.first_seen} />
              </span>
            </p>
            <code className="mono break-all">{proxy.setting}</code>
          </li>
        ))}
      </ul>
    </Block>
  );
}
