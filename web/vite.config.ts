import { readFileSync } from "node:fs";
import tailwindcss from "@tailwindcss/vite";
import { tanstackRouter } from "@tanstack/router-plugin/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `make dev`: the pages from Vite, the API from a running server, which takes writes from its own origin only.
const target = process.env.CB_DEV_API ?? "https://127.0.0.1:8443";
const server = { target, secure: false, changeOrigin: true, headers: { origin: target } };

// Browsers ask for the icon of a page again at each change of its address, also while the server is away, so the page brings it along.
const icon = `data:image/svg+xml,${encodeURIComponent(readFileSync(new URL("src/icon.svg", import.meta.url), "utf8").trim())}`;

// The server replaces __CSP_NONCE__ in index.html with a fresh nonce for each response
// (crates/cb-api, the static shell). Nothing else in the build may contain that word.
export default defineConfig({
  plugins: [
    tanstackRouter({ target: "react", autoCodeSplitting: true, quoteStyle: "double" }),
    react(),
    tailwindcss(),
    {
      name: "icon",
      transformIndexHtml: { order: "post", handler: (html) => html.replace("__ICON__", icon) },
    },
  ],
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    target: "es2023",
    // Nothing may become a data: URL by itself: font-src and script-src allow 'self' only. The icon does (`?inline`), as img-src allows.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    chunkSizeWarningLimit: 400,
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/api": { ...server, ws: true },
      "/ca.crt": server,
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test-setup.ts"],
    // More than a test waits for one thing: see there.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
