/** What answers on an asset. A service that sent a page to a scan is a way to that page. */
import { ExternalLink } from "lucide-react";
import type { AssetDetail, Service } from "#/api/schema";
import { distinct } from "#/domain/product";
import { webAddress } from "#/domain/web-address";
import { useTranslation } from "#/i18n";
import { Badge } from "#/ui/feedback";
import { Section } from "#/ui/panel";

export function Services({ asset }: { asset: AssetDetail }) {
  const { t } = useTranslation();
  if (asset.services.length === 0) return null;
  const several = asset.address_list.length > 1;
  const ips = new Map(asset.address_list.map((address) => [address.id, address.ip]));
  const rows = [...asset.services].sort((a, b) => a.port - b.port);
  return (
    <Section title={t("asset.services")}>
      <ul className="divide-y divide-line border-y border-line">
        {rows.map((service) => {
          const ip = ips.get(service.address_id ?? "");
          return (
            <li key={service.id} className="flex min-h-9 items-center gap-3 py-1">
              <span className="mono w-20 shrink-0">
                {service.port}/{service.protocol}
              </span>
              <span className="min-w-0 flex-1 break-words">
                <Name service={service} ip={ip} />
              </span>
              {several && ip ? <span className="mono text-xs text-muted">{ip}</span> : null}
              {service.confidence < 40 ? <Badge>{t("service.guess")}</Badge> : null}
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

function Name({ service, ip }: { service: Service; ip: string | undefined }) {
  const { t } = useTranslation();
  const [name = "", ...rest] = distinct([service.name, service.product, service.version_text]);
  const address = webAddress(service, ip);
  const more = rest.length > 0 ? <span className="text-muted">{rest.join(" ")}</span> : null;
  if (!address)
    return (
      <>
        {name} {more}
      </>
    );
  return (
    <a
      href={address}
      target="_blank"
      rel="noopener noreferrer"
      title={t("service.open", { address })}
      className="inline-flex min-h-6 max-w-full flex-wrap items-center gap-x-1.5 hover:underline"
    >
      <span className="text-accent-text">{name}</span>
      {more}
      <ExternalLink aria-hidden className="size-3.5 shrink-0 text-muted" />
      <span className="sr-only">{t("service.newTab")}</span>
    </a>
  );
}
