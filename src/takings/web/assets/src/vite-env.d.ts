/// <reference types="vite/client" />
declare module "htmx.org/dist/ext/hx-sse.js";
