// SPDX-License-Identifier: Apache-2.0
// How do three pages (console, softphone, guest phone) become files that the web process can serve?
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// `npm run dev` shows the sources; the answers come from a server that runs, or from one made for development.
const server = process.env.RINGBACK_SERVER ?? "https://localhost:8443";

export default defineConfig({
  plugins: [svelte()],
  resolve: { alias: { $lib: here("src/lib") } },
  build: {
    outDir: here("../src/ringback/web/static"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the CSP allows no data: script or style
    modulePreload: { polyfill: false },
    rollupOptions: {
      checks: { pluginTimings: false }, // a slow machine is not a fault of the sources
      input: { index: here("index.html"), phone: here("phone.html"), guest: here("guest.html") },
    },
  },
  server: {
    fs: { allow: [here("..")] }, // the page of diagnostics is read from docs/
    proxy: Object.fromEntries(
      ["/api", "/events", "/ws", "/docs", "/healthz", "/readyz", "/trust"].map((path) => [
        path,
        { target: server, secure: false, ws: path === "/events" || path === "/ws" },
      ]),
    ),
  },
});
