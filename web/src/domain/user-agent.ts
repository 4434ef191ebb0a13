/**
 * Which browser and system a session comes from, in the words of its user agent. Only to recognise one's own devices:
 * what it says is whatever the client chose to say.
 */
const browsers: [pattern: RegExp, name: string][] = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\b(?:OPR|Opera)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bVivaldi\//, "Vivaldi"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:Chrome|CriOS|HeadlessChrome|Chromium)\//, "Chrome"],
  [/\bVersion\/[\d.]+ .*Safari\//, "Safari"],
];
const systems: [pattern: RegExp, name: string][] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bMacintosh\b/, "macOS"],
  [/\bLinux\b|\bX11\b/, "Linux"],
];

export interface Device {
  /** A browser, or else the name that a program gives itself. */
  client?: string;
  system?: string;
  kind: "phone" | "desk" | "program";
}

export function deviceOf(userAgent: string): Device {
  const find = (table: typeof browsers) => table.find(([pattern]) => pattern.test(userAgent))?.[1];
  const system = find(systems);
  const client = find(browsers) ?? /^[A-Za-z][\w.-]*/.exec(userAgent)?.[0];
  const phone = system === "iPhone" || system === "iPad" || system === "Android";
  return { client, system, kind: phone ? "phone" : system ? "desk" : "program" };
}
