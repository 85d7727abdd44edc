// Builds the drawing of pictures, which the server runs, into one script beside the front end.
import { resolve } from "node:path";
import { defineConfig } from "vite";

export default defineConfig({
  publicDir: false,
  logLevel: "warn",
  build: {
    outDir: resolve(import.meta.dirname, process.env.TAKINGS_BUILT ?? "../static/built"),
    emptyOutDir: false,
    target: "es2020",
    chunkSizeWarningLimit: 900,
    lib: { entry: "src/drawing/picture.ts", name: "takingsPicture", formats: ["iife"], fileName: () => "picture.js" },
  },
});
