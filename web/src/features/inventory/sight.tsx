/** Why an asset has the status that was seen: since when, and what answered or did not. */
import { useAwaySince } from "#/api/hooks";
import type { Address, Asset, AssetDetail } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { since, Time } from "#/ui/time";

type Translate = ReturnType<typeof useTranslation>["t"];

/** A row of a list knows since when, and not what answered. */
export function Sight({ asset }: { asset: Asset & Partial<Pick<AssetDetail, "address_list">> }) {
  const { t } = useTranslation();
  const { status_seen, status_since } = asset;
  const at = lastSeen(asset.address_list ?? []);
  const away = useAwaySince() !== null;
  // It says why the status is what it is; while the server is away nobody knows what it is.
  if (away || (status_seen !== "up" && status_seen !== "not_seen")) return null;
  const did = at ? said(at.seen_by, t) : "";
  return (
    <p className="mt-1.5 text-xs text-muted">
      {status_since
        ? t(status_seen === "up" ? "sight.upSince" : "sight.notSeenSince", { time: since(status_since) })
        : t(`status.${status_seen}`)}
      {at && status_seen === "up" && did ? (
        <>
          {" · "}
          <Time at={at.last_seen_at} />, {t("sight.did", { ip: at.ip, did })}
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
          {did ? `. ${t("sight.before", { did })}` : "."}
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

/** "80, 515 and 9100": the American list puts a comma before "and", which this catalogue does not. */
function inWords(list: readonly string[]): string {
  const [first = "", ...rest] = list.toReversed();
  return rest.length > 0 ? `${rest.toReversed().join(", ")} and ${first}` : first;
}

/** More ports than these are counted. */
const PORTS = 3;

/** "answered ARP requests, mDNS queries and connection attempts on ports 22 and 80" */
function said(signs: readonly string[], t: Translate): string {
  if (signs.includes("local")) return t("sight.local");
  const words: string[] = signs.filter(isPlain).map((sign) => t(`sight.by.${sign}`));
  const ports = signs
    .filter((sign) => sign.startsWith("tcp:"))
    .map((sign) => Number(sign.slice(4)))
    .sort((a, b) => a - b);
  // One more is said as shortly as it is counted.
  const named = ports.length > PORTS + 1 ? ports.slice(0, PORTS) : ports;
  const more = ports.length - named.length;
  const list = [...named.map(String), ...(more > 0 ? [t("sight.by.morePorts", { count: more })] : [])];
  if (ports.length > 0) words.push(t("sight.by.port", { count: ports.length, ports: inWords(list) }));
  return words.length > 0 ? t("sight.answered", { what: inWords(words) }) : "";
}

const plain = ["arp", "icmp", "neighbor", "mdns", "ssdp"] as const;
const isPlain = (sign: string): sign is (typeof plain)[number] => plain.some((one) => one === sign);
