import { render } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { AssetDetail } from "#/api/schema";
import { addWords } from "#/i18n";
import inventory from "#/i18n/en/inventory.json";
import { since } from "#/ui/time";
import { Sight } from "./sight";

addWords(inventory);

const hourAgo = new Date(Date.now() - 3_600_000).toISOString();

function shown(status_seen: string, seen_by: string[], missed_at: string | null = null): string {
  const address_list = [
    { ip: "10.0.0.4", last_seen_at: "2020-01-01T00:00:00Z", seen_by: ["icmp"], missed_at: null },
    { ip: "10.0.0.5", last_seen_at: hourAgo, seen_by, missed_at },
    { ip: "10.0.0.6", last_seen_at: null, seen_by: [], missed_at: null },
  ];
  const asset = { status_seen, status_since: hourAgo, address_list } as unknown as AssetDetail;
  const { container } = render(<Sight asset={asset} />);
  return container.textContent ?? "";
}

describe("what a status stands on", () => {
  it("is told: since when, and what answered last", () => {
    const text = shown("up", ["arp", "tcp:22", "mdns", "news"]);
    expect(text).toContain(`Up since ${since(hourAgo)}`);
    expect(text).toContain("10.0.0.5 answered ARP requests, mDNS queries and connection attempts on port 22");
  });
  it("names a few ports, and counts the others", () => {
    expect(shown("up", ["tcp:80", "tcp:22"])).toContain("answered connection attempts on ports 22 and 80");
    const many = ["tcp:80", "tcp:22", "tcp:443", "tcp:8080", "tcp:53"];
    expect(shown("up", many)).toContain("answered connection attempts on ports 22, 53, 80 and 2 more");
  });
  it("says what no longer answers", () => {
    const text = shown("not_seen", ["arp"], hourAgo);
    expect(text).toMatch(
      /^Not seen since .+\. 10\.0\.0\.5 did not answer a scan \(.+\)\. Before that, it answered ARP requests\.$/,
    );
  });
  it("is nothing where nothing was ever seen", () => {
    expect(shown("unknown", [])).toBe("");
  });
});

describe("a moment in the past", () => {
  const now = new Date(2026, 5, 15, 12).getTime();
  it("is a time today, a day before, and has a year when that is another", () => {
    expect(since(new Date(2026, 5, 15, 9, 5).toISOString(), now)).toMatch(/9:05|09:05/);
    expect(since(new Date(2026, 4, 1).toISOString(), now)).toMatch(/May/);
    expect(since(new Date(2025, 4, 1).toISOString(), now)).toMatch(/2025/);
  });
});
