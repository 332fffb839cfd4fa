import { defineConfig } from "vitest/config";

export default defineConfig({
  // Tests that import the package by its name get the sources, as tsc and the examples do.
  resolve: { conditions: ["fewbit-source", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["fewbit-source", "node", "import", "default"] } },
  test: { include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000, maxWorkers: 2 },
});
