import { act, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Markdown } from "./markdown";
import MarkdownTree, { safeAddress } from "./markdown-tree";

const drawn = (text: string) => render(<MarkdownTree text={text} />).container;

describe("notes in Markdown", () => {
  it("show what a person has written", () => {
    const at = drawn(
      "# Rack 2\nSecond **shelf**, see *label*.\n\n- [x] cabled\n- one\n  - two\n\n3. three\n\n> quoted\n\n`ip a`\n\n" +
        "```\ncode  <b>\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n---\n\nA &amp; B \\* ~~old~~ https://nas.lan/x?a=1&b=2",
    );
    for (const [selector, text] of [
      ["strong", "shelf"],
      ["em", "label"],
      ["blockquote", "quoted"],
      ["pre", "code  <b>"],
      ["code", "ip a"],
      ["ol[start='3'] li", "three"],
      ["li li", "two"],
      ["td", "1"],
      ["del", "old"],
    ] as const)
      expect(at.querySelector(selector)?.textContent, selector).toBe(text);
    expect(at.textContent).toContain("☑ cabled");
    expect(at.textContent).toContain("A & B *");
    const link = at.querySelector("a");
    expect(link?.getAttribute("href")).toBe("https://nas.lan/x?a=1&b=2");
    expect(link?.rel).toBe("noopener noreferrer");
    expect(link?.target).toBe("_blank");
  });

  it.each([
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>*{display:none}</style>",
    "<form action=https://evil.example><input></form>",
    "text <b onclick=alert(1)>inline</b> html",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#x6a;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](%6aavascript:alert(1))",
    "[x](\u0001javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://evil.example/1)",
    "[x](//evil.example)",
    "[x](/api/v1/auth/logout)",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    '[x](https://a.example" onmouseover="alert(1))',
  ])("run nothing and fetch nothing: %s", (text) => {
    const at = drawn(text);
    expect(at.querySelector("script,img,svg,iframe,style,form,input,object,video,b")).toBeNull();
    for (const link of at.querySelectorAll("a"))
      expect(["http:", "https:", "mailto:"]).toContain(new URL(link.getAttribute("href") ?? "").protocol);
    for (const element of at.querySelectorAll("*"))
      expect(element.getAttributeNames().filter((name) => name.startsWith("on") || name === "style")).toEqual(
        [],
      );
    if (!text.includes("https://")) expect(at.querySelector("a")).toBeNull();
  });

  it("show an image from elsewhere as a link to it", () => {
    const at = drawn("![the rack](https://pictures.example/rack.png)");
    expect(at.querySelector("img")).toBeNull();
    expect(at.querySelector("a")?.textContent).toBe("the rack");
  });

  it.each([
    ["https://a.example/", "https://a.example/"],
    ["mailto:ann@example.org", "mailto:ann@example.org"],
    ["HTTP://a.example", "http://a.example/"],
    ["ftp://a.example", undefined],
    ["a.example", undefined],
    ["#top", undefined],
  ])("lead from %s to %s", (href, address) => expect(safeAddress(href)).toBe(address));

  it("that are nested without end are shown as they were typed", async () => {
    // React tells of what was caught.
    vi.spyOn(console, "error").mockImplementation(() => {});
    for (const text of [
      ">".repeat(20_000),
      "1. ".repeat(6_000),
      `${"> ".repeat(60)}deep`,
      "*a ".repeat(6_000),
    ]) {
      const { container, unmount } = render(<Markdown text={text} />);
      await act(() => vi.dynamicImportSettled());
      const words = container.textContent?.replaceAll(/\s/g, "") ?? "";
      expect(words.endsWith(text.replaceAll(/\s/g, "").slice(-4))).toBe(true);
      let depth = 0;
      for (let at = container.querySelector("blockquote,li"); at; at = at.querySelector("blockquote,li"))
        depth++;
      expect(depth).toBeLessThan(20);
      unmount();
    }
  });

  it("come as plain text until they can be drawn", async () => {
    render(<Markdown text={"**bold** until then"} />);
    await act(() => vi.dynamicImportSettled());
    expect(screen.getByText("bold").tagName).toBe("STRONG");
  });
});

afterEach(() => vi.restoreAllMocks());
