/** Which networks fit a filter. An address fits the networks that it lies in. */
import type { Network } from "#/api/schema";
import { isIp, NetworkIndex } from "#/domain/address";
import type { Filter, FilterKey } from "#/domain/filter/grammar";

/** What can be asked of networks. */
export const networkKeys = ["network"] as const satisfies readonly FilterKey[];

export function fits(filter: Filter): (network: Network) => boolean {
  const words = (filter.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (network) => {
    if (filter.network && network.id !== filter.network) return false;
    const hay = [
      network.name,
      network.cidr,
      network.gateway,
      network.gateway_asset?.name,
      network.vlan === null ? "" : `vlan ${network.vlan}`,
      network.notes,
    ]
      .join("\n")
      .toLowerCase();
    return words.every((word) => hay.includes(word) || holds(network, word));
  };
}

function holds(network: Network, word: string): boolean {
  return isIp(word) && new NetworkIndex([{ cidr: network.cidr, is: true }]).find(word) === true;
}
