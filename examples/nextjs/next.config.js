/** @type {import("next").NextConfig} */
export default {
  // .next/standalone is all that a container needs: a server and the modules that it really uses.
  output: "standalone",
  // The lockfile of this folder, not one further up.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: {root: import.meta.dirname},
  // No pictures to resize: the container goes without the library for it.
  images: {unoptimized: true},
  outputFileTracingExcludes: {"*": ["node_modules/sharp/**", "node_modules/@img/**"]},
  poweredByHeader: false,
};
