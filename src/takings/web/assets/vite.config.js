// Builds the front end into ../static/built: hashed names, a manifest for the templates, the licences of what is in it.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/",
  publicDir: false,
  logLevel: "warn",
  build: {
    outDir: process.env.TAKINGS_BUILT ?? "../static/built",
    emptyOutDir: true,
    assetsDir: "",
    assetsInlineLimit: 0,
    manifest: "manifest.json",
    license: { fileName: "licenses.md" },
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
    rolldownOptions: { input: { main: "src/main.ts", chart: "src/islands/chart.ts" } },
  },
});
