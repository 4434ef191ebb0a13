import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { assetStatuses } from "#/domain/asset";
import { DIM, type MapPalette, readPalette, rgb } from "./palette";

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

/** What is seen of a color of which only so much is left. */
function dimmed(color: string, back: string, part: number): string {
  const [over, under] = [rgb(color), rgb(back)];
  const mixed = over.map((value, at) => Math.round(255 * (value * part + (under[at] ?? 0) * (1 - part))));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
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

  it("what is dimmed can still be found: words have a contrast of 3 to 1, shapes of 1.5 to 1", () => {
    const left = (part: number, what: Record<string, string>, least: number) => {
      for (const [ground, back] of Object.entries(grounds))
        check(
          least,
          Object.fromEntries(Object.entries(what).map(([name, color]) => [name, dimmed(color, back, part)])),
          { [ground]: back },
        );
    };
    left(DIM.name, { name: colors.ink }, 3);
    left(DIM.small, { address: colors.muted, "this server": colors.markText }, 3);
    const statuses = Object.fromEntries(assetStatuses.map((status) => [status, colors.status[status]]));
    left(DIM.shape, { ...statuses, icon: colors.ink, pin: colors.mark, link: colors.link }, 1.5);
  });

  it("what is bright stands out from what is dimmed", () => {
    const statuses = Object.values(colors.status).map((color) => [color, DIM.shape] as const);
    for (const back of Object.values(grounds))
      for (const [color, part] of [
        [colors.ink, DIM.name] as const,
        [colors.muted, DIM.small] as const,
        [colors.link, DIM.shape] as const,
        ...statuses,
      ]) {
        const [bright, dim] = [contrast(color, back), contrast(dimmed(color, back, part), back)];
        expect(bright / dim, `${color} on ${back}`).toBeGreaterThan(1.7);
      }
  });
});

it("reads colors as written and as minified", () => {
  expect(rgb("#ffffff")).toEqual([1, 1, 1]);
  expect(rgb("#fff")).toEqual([1, 1, 1]);
  expect(rgb("oops")).toEqual([0.5, 0.5, 0.5]);
});
