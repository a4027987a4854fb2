import { defineConfig } from "vite";

// In development (`npm run dev`) the API of `make dev` answers.
const api = "http://127.0.0.1:8000";

export default defineConfig({
  base: "/console/",
  build: {
    // The API serves it from its own package, so that it is part of the wheel.
    outDir: "../api/console/dist",
    emptyOutDir: true,
    // The content security policy allows no data URLs but for pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    // hls.js, which is loaded when the first playlist is played.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": api } },
});
