/** A part of `npm run fuzz`: 2000 files, and one of each kind that is made to hurt. */

import { expect, test } from "vitest";
import { fuzzFile, importFuzzed, seedModels } from "./fuzz.ts";
import { hostile, hostileKinds } from "./hostile.ts";
import { Choices } from "./random.ts";

const FILES = 2000;
/** Most a single file may take; a busy machine is forgiven. */
const LIMIT_MS = 10_000;

test(`${FILES} mutated files import or are refused with a typed error`, () => {
  const seeds = seedModels();
  const counts = { imported: 0, refused: 0 };
  for (let number = 0; number < FILES; number++) {
    const { kind, bytes } = fuzzFile(number, seeds);
    const started = performance.now();
    try {
      counts[importFuzzed(bytes)]++;
    } catch (cause) {
      throw new Error(`file ${number} (${kind}): npm run fuzz -- --one ${number}`, { cause });
    }
    expect(performance.now() - started, `file ${number} (${kind})`).toBeLessThan(LIMIT_MS);
  }
  // Mutations that broke every file, or none, would test nothing.
  expect(counts.imported).toBeGreaterThan(FILES / 20);
  expect(counts.refused).toBeGreaterThan(FILES / 20);
});

test.each(hostileKinds)("files of the kind %s are bounded in time", (kind) => {
  for (let seed = 0; seed < 3; seed++) {
    const bytes = hostile(kind, new Choices(seed));
    const started = performance.now();
    importFuzzed(bytes);
    expect(performance.now() - started, `seed ${seed}`).toBeLessThan(LIMIT_MS);
  }
});
