/** Why an asset has the status that was seen: since when, and what answered or did not. */
import type { Address, AssetDetail } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { since, Time } from "#/ui/time";

type Translate = ReturnType<typeof useTranslation>["t"];

export function Sight({ asset }: { asset: AssetDetail }) {
  const { t } = useTranslation();
  const { status_seen, status_since } = asset;
  const at = lastSeen(asset.address_list);
  if (status_seen !== "up" && status_seen !== "not_seen") return null;
  const by = at ? said(at.seen_by, t) : "";
  return (
    <p className="mt-1.5 text-xs text-muted">
      {status_since
        ? t(status_seen === "up" ? "sight.upSince" : "sight.notSeenSince", { time: since(status_since) })
        : t(`status.${status_seen}`)}
      {at && status_seen === "up" && by ? (
        <>
          {" · "}
          {t("sight.answered", { ip: at.ip, by })} <Time at={at.last_seen_at} />
        </>
      ) : null}
      {at && status_seen === "not_seen" ? (
        <>
          {". "}
          {t("sight.missed", { ip: at.ip })}
          {at.missed_at ? (
            <>
              {" ("}
              <Time at={at.missed_at} />)
            </>
          ) : null}
          {by ? `. ${t("sight.before", { by })}` : "."}
        </>
      ) : null}
    </p>
  );
}

/** The address that answered last. */
function lastSeen(addresses: readonly Address[]): Address | undefined {
  return addresses
    .filter((one) => one.last_seen_at)
    .sort((a, b) => (b.last_seen_at ?? "").localeCompare(a.last_seen_at ?? ""))[0];
}

/** "ARP, on port 22 and mDNS" */
function said(signs: readonly string[], t: Translate): string {
  const words = signs.flatMap((sign) => {
    if (sign.startsWith("tcp:")) return [t("sight.by.port", { port: sign.slice(4) })];
    return isPlain(sign) ? [t(`sight.by.${sign}`)] : [];
  });
  return new Intl.ListFormat("en", { type: "conjunction" }).format(words);
}

const plain = ["arp", "icmp", "neighbor", "local", "mdns", "ssdp"] as const;
const isPlain = (sign: string): sign is (typeof plain)[number] => plain.some((one) => one === sign);
