// Builds the front end into ../static/built: hashed names, a manifest for the templates, the licences of what is in it.
import { appendFileSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vite";

const built = resolve(import.meta.dirname, process.env.TAKINGS_BUILT ?? "../static/built");

/** Vite lists the licences of scripts; the font's is added here. */
const fontLicence = {
  name: "font-licence",
  closeBundle() {
    const text = readFileSync(resolve(import.meta.dirname, "node_modules/@fontsource-variable/figtree/LICENSE"), "utf8");
    appendFileSync(resolve(built, "licenses.md"), `\n## Figtree (the font)\n\n${text}`);
  },
};

export default defineConfig({
  base: "/static/",
  publicDir: false,
  plugins: [fontLicence],
  logLevel: "warn",
  build: {
    outDir: built,
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
