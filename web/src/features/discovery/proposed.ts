import type { Discovery } from "#/api/schema";

/**
 * What a scan proposes to look at: the networks that the default route leaves by, for those are the user's. The bridges of containers
 * are only proposed where there is nothing else.
 */
export function proposed(networks: Discovery["local_networks"]): string[] {
  const routed = networks.filter((network) => network.gateway !== null);
  return (routed.length > 0 ? routed : networks).map((network) => network.cidr);
}
