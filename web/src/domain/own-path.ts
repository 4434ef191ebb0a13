/**
 * Where to go after signing in. The value comes from the address bar, so anybody may have written it: only a path of our
 * own is taken, and none that a browser, a server or a later decoding could read as another host.
 */
const PUBLIC = /^\/(login|setup|invite|reset)(?:\/|$)/;

export function ownPath(value: unknown): string | undefined {
  if (typeof value !== "string" || !/^\/(?!\/)/.test(value)) return undefined;
  const path = value.split(/[?#]/, 1)[0] ?? "";
  // Browsers drop tabs and newlines, and take a backslash for a slash; written as %xx they come back when decoded.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is refused
  if (/[\\\u0000-\u0020\u007f]|%(?:[01][0-9a-f]|20|25|2f|5c|7f)/i.test(path)) return undefined;
  let url: URL;
  try {
    url = new URL(value, location.origin);
  } catch {
    return undefined;
  }
  if (url.origin !== location.origin || url.pathname.startsWith("//") || PUBLIC.test(url.pathname))
    return undefined;
  return url.pathname + url.search + url.hash;
}
