/**
 * Draws Markdown as elements of our own, one kind for each kind of token. Nothing of the text becomes HTML, so nothing needs to be
 * cleaned: HTML is shown as text, an image is a link to it, and a link leads to http, https or mail only. What is nested deeper than
 * `DEEPEST` is shown as it was typed.
 */
import { Lexer, type Token, type Tokens } from "marked";
import { Fragment, type ReactNode, useMemo } from "react";

const DEEPEST = 12;
/** Beyond it, nothing more is drawn as Markdown. */
const TOKENS_MOST = 5_000;
const schemes = new Set(["http:", "https:", "mailto:"]);

export default function MarkdownTree({ text }: { text: string }) {
  const drawn = useMemo(
    () => new Drawing().blocks(new Lexer({ gfm: true, breaks: true }).lex(text), 0),
    [text],
  );
  return <div className="flex flex-col gap-2 break-words">{drawn}</div>;
}

/** Where a link may lead, or nothing. */
export function safeAddress(href: string): string | undefined {
  const text = decoded(href).trim();
  // An address without its scheme would lead into this page.
  if (!/^[a-z]+:/i.test(text)) return undefined;
  try {
    const url = new URL(text);
    return schemes.has(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/** The lexer leaves entities to the browser, which sees texts only here. */
function decoded(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,5}));/gi, (whole, decimal, hex, name) => {
    if (name) return named[name.toLowerCase()] ?? whole;
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

class Drawing {
  private left = TOKENS_MOST;

  blocks(tokens: readonly Token[], depth: number): ReactNode[] {
    return tokens.map((token, at) => {
      // biome-ignore lint/suspicious/noArrayIndexKey: the tokens of one fixed text
      return <Fragment key={at}>{this.block(token, depth)}</Fragment>;
    });
  }

  private block(token: Token, depth: number): ReactNode {
    if (depth > DEEPEST || --this.left < 0) return <Plain text={token.raw} />;
    switch (token.type) {
      case "space":
      case "def":
        return null;
      case "heading":
        // The panel's own headings are of the second and third level.
        return <p className="font-semibold">{this.inlines(token.tokens ?? [], depth + 1)}</p>;
      case "paragraph":
        return <p>{this.inlines(token.tokens ?? [], depth + 1)}</p>;
      case "text":
        return token.tokens ? this.inlines(token.tokens, depth + 1) : decoded(token.text);
      case "hr":
        return <hr className="border-line" />;
      case "code":
        return (
          <pre className="mono overflow-x-auto rounded-md bg-sunken p-2 text-xs whitespace-pre-wrap">
            {token.text}
          </pre>
        );
      case "blockquote":
        return (
          <blockquote className="flex flex-col gap-2 border-l-2 border-line-strong pl-3 text-muted">
            {this.blocks(token.tokens ?? [], depth + 1)}
          </blockquote>
        );
      case "list":
        return this.list(token as Tokens.List, depth);
      case "table":
        return this.table(token as Tokens.Table, depth);
      default:
        return <Plain text={token.raw} />;
    }
  }

  private list({ ordered, start, items }: Tokens.List, depth: number): ReactNode {
    const rows = items.map((item, at) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: the items of one fixed text
      <li key={at}>
        {item.task ? <span className="mono">{item.checked ? "☑ " : "☐ "}</span> : null}
        {this.blocks(
          item.tokens.filter((token) => token.type !== "checkbox"),
          depth + 1,
        )}
      </li>
    ));
    return ordered ? (
      <ol className="list-decimal pl-6" start={start === "" ? 1 : start}>
        {rows}
      </ol>
    ) : (
      <ul className="list-disc pl-5">{rows}</ul>
    );
  }

  private table({ header, rows }: Tokens.Table, depth: number): ReactNode {
    const cells = (row: Tokens.TableCell[], Cell: "th" | "td") =>
      row.map((cell, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the cells of one fixed text
        <Cell key={at} className="border border-line px-2 py-1 text-left align-top">
          {this.inlines(cell.tokens, depth + 1)}
        </Cell>
      ));
    return (
      <div className="overflow-x-auto">
        <table className="border-collapse">
          <thead>
            <tr>{cells(header, "th")}</tr>
          </thead>
          <tbody>
            {rows.map((row, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the rows of one fixed text
              <tr key={at}>{cells(row, "td")}</tr>
            ))}
          </tbody>
        </table>
      </div>
    );
  }

  private inlines(tokens: readonly Token[], depth: number): ReactNode[] {
    return tokens.map((token, at) => {
      // biome-ignore lint/suspicious/noArrayIndexKey: the tokens of one fixed text
      return <Fragment key={at}>{this.inline(token, depth)}</Fragment>;
    });
  }

  private inline(token: Token, depth: number): ReactNode {
    if (depth > DEEPEST || --this.left < 0) return token.raw;
    const within = () => this.inlines(("tokens" in token && token.tokens) || [], depth + 1);
    switch (token.type) {
      case "text":
        return "tokens" in token && token.tokens ? within() : decoded(token.text);
      case "escape":
        return token.text;
      case "strong":
        return <strong className="font-semibold">{within()}</strong>;
      case "em":
        return <em>{within()}</em>;
      case "del":
        return <del>{within()}</del>;
      case "br":
        return <br />;
      case "codespan":
        return <code className="mono rounded bg-hover px-1 text-[0.92em]">{token.text}</code>;
      case "link":
        return <Out href={token.href}>{within()}</Out>;
      case "image":
        // Fetching it would tell another server who reads this note.
        return <Out href={token.href}>{decoded(token.text) || token.href}</Out>;
      default:
        return token.raw;
    }
  }
}

function Plain({ text }: { text: string }) {
  return <p className="whitespace-pre-wrap">{text.trimEnd()}</p>;
}

function Out({ href, children }: { href: string; children: ReactNode }) {
  const address = safeAddress(href);
  if (!address) return children;
  return (
    <a
      href={address}
      target="_blank"
      rel="noopener noreferrer"
      className="text-accent-text underline underline-offset-2"
    >
      {children}
    </a>
  );
}
