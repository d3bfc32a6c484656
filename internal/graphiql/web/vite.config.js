import { defineConfig } from 'vite';
import { licenses } from './licenses.js';

const notices = licenses();

export default defineConfig({
  // Relative addresses: the scripts find each other from their own address, so the
  // server may mount the page anywhere and only index.html has to be told where.
  base: './',
  plugins: [notices.main],
  worker: { plugins: () => [notices.worker] },
  build: {
    target: 'es2022',
    // Every browser of that target preloads modules itself, and the polyfill would fetch() for nothing.
    modulePreload: { polyfill: false },
    // Monaco alone is larger than the default limit. The Go test bounds the total.
    chunkSizeWarningLimit: 4000,
    reportCompressedSize: false,
    rolldownOptions: {
      // "use client" and the like mean nothing in a page without a server side; a hundred
      // warnings about them would hide one that matters.
      onwarn(warning, warn) {
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
    },
  },
});
