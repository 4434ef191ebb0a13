import type { MapModel } from "./model";

/** Finding on the map: every word in the name, the role or an address. Null when nothing is asked. Best matches first. */
export function findNodes(model: MapModel, text: string): ReadonlySet<string> | null {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  const found: { id: string; rank: number }[] = [];
  for (const node of model.nodes.values()) {
    const name = node.name.toLowerCase();
    const hay = [name, node.role ?? "", node.kind, node.status, ...node.addresses].join("\n").toLowerCase();
    if (!words.every((word) => hay.includes(word))) continue;
    const whole = words.join(" ");
    const exact = name === whole || node.addresses.some((address) => address.toLowerCase() === whole);
    found.push({ id: node.id, rank: exact ? 0 : name.startsWith(whole) ? 1 : 2 });
  }
  return new Set(found.sort((a, b) => a.rank - b.rank).map((hit) => hit.id));
}
