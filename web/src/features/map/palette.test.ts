import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { assetStatuses } from "#/domain/asset";
import { type MapPalette, readPalette, rgb } from "./palette";

const css = readFileSync("src/styles.css", "utf8");

/** The palette of a theme, as the browser would read it from the page. */
function paletteOf(theme: "dark" | "light"): MapPalette {
  const [, block = ""] = new RegExp(`\\[data-theme="${theme}"\\] \\{([^}]*)\\}`).exec(css) ?? [];
  const element = document.createElement("div");
  for (const [, name = "", color = ""] of block.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g))
    element.style.setProperty(name, color);
  document.body.append(element);
  return readPalette(element);
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [a, b]
    .map((color) => {
      const [red, green, blue] = rgb(color).map((part) =>
        part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
      ) as [number, number, number];
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    })
    .sort((one, other) => other - one);
  return (light + 0.05) / (dark + 0.05);
}

describe.each(["dark", "light"] as const)("the %s map", (theme) => {
  const colors = paletteOf(theme);
  const grounds = { canvas: colors.canvas, group: colors.group };
  const check = (least: number, what: Record<string, string>, on: Record<string, string>) => {
    expect(
      Object.entries(what).flatMap(([name, color]) =>
        Object.entries(on)
          .map(([ground, back]) => ({ pair: `${name} on ${ground}`, is: contrast(color, back) }))
          .filter(({ is }) => is < least),
      ),
    ).toEqual([]);
  };

  it("words have a contrast of 4.5 to 1", () => {
    check(4.5, { name: colors.ink, address: colors.muted, "this server": colors.markText }, grounds);
    check(4.5, { name: colors.ink, address: colors.muted }, { card: colors.raised });
  });

  it("shapes have a contrast of 3 to 1: rings and marks of every status, icons, pins, links, what is chosen", () => {
    const statuses = Object.fromEntries(assetStatuses.map((status) => [status, colors.status[status]]));
    check(3, statuses, { ...grounds, node: colors.node, card: colors.raised });
    check(3, { icon: colors.ink }, { node: colors.node });
    check(3, { mark: colors.mark, link: colors.link, "lit link": colors.linkStrong }, grounds);
  });
});

it("reads colors as written and as minified", () => {
  expect(rgb("#ffffff")).toEqual([1, 1, 1]);
  expect(rgb("#fff")).toEqual([1, 1, 1]);
  expect(rgb("oops")).toEqual([0.5, 0.5, 0.5]);
});
