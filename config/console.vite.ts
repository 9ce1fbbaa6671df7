// How Vite builds the console with the pages of the features: src/operate → dist/console, files with a hash in their
// names and the list of them.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const pathOf = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

export default defineConfig({
  root: pathOf("src/operate"),
  base: "/console/",
  publicDir: false,
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: pathOf("dist/console"),
    emptyOutDir: true,
    target: "es2022",
    manifest: "files.json",
    // An inlined file would be refused by the content security policy.
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: {
      input: [pathOf("src/operate/pages.tsx"), pathOf("src/operate/trial/page/trial.ts")],
      output: {
        assetFileNames: "[name]-[hash][extname]",
        chunkFileNames: "[name]-[hash].js",
        entryFileNames: "[name]-[hash].js",
      },
    },
  },
});
