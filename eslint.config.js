// Lint rules: strict typed TypeScript, imports that only point down the floors, and one rounding.
import tseslint from "typescript-eslint";
import { floorRule } from "./tools/eslint-floors.js";

export default tseslint.config(
  {
    ignores: [
      "dist/",
      "node_modules/",
      "output/",
      "src/engine/generated/",
      "**/*.as.ts",
      "golden/",
      "**/*.mjs",
      "eslint.config.js",
      "vitest.config.ts",
      "tools/*.js",
    ],
  },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    plugins: { fewbit: { rules: { floors: floorRule } } },
    rules: {
      "fewbit/floors": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-this-alias": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "round", message: "Halves must go to even: use rint from tensor/rounding.ts." },
      ],
    },
  },
);
