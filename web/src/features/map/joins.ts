/** Which nodes join networks: those with an address in a network that they do not stand in. Pure. */
import { NetworkIndex } from "#/domain/address";
import type { Group } from "./group";

export interface Join {
  node: string;
  group: string;
}

export function joinsOf(groups: readonly Group[]): Join[] {
  const networks = new NetworkIndex(groups.map(({ id, cidr }) => ({ cidr, is: id })));
  const joins: Join[] = [];
  for (const { id, members } of groups)
    for (const node of members) {
      if (node.addresses.length < 2) continue;
      const joined = new Set(node.addresses.map((address) => networks.find(address)));
      for (const other of joined)
        if (other !== undefined && other !== id) joins.push({ node: node.id, group: other });
    }
  return joins;
}
