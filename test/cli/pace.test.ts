/** Rate and time left of work under way. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pace } from "../../src/cli/pace.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

const rows: readonly (readonly [total: number | null, from: number, seconds: number, done: number, text: string])[] = [
  [1000, 0, 0, 0, "|"],
  [1000, 0, 2, 0, "|"],
  [1000, 0, 2, 5, "2.5/s|6:38 min left"],
  [1000, 0, 10, 100, "10/s|1:30 min left"],
  [1000, 0, 1, 99.7, "99/s|9.0 s left"],
  [1000, 0, 0.5, 900, "1,800/s|under 1 s left"],
  [1000, 0, 1, 1000, "1,000/s|"],
  [null, 0, 1, 50, "50/s|"],
  // A resumed run did not do what it found done.
  [1000, 800, 10, 900, "10/s|10.0 s left"],
];

test.each(rows)("of %s, from %i, after %f s at %f: %s", (total, from, seconds, done, text) => {
  const pace = new Pace(total, from);
  vi.advanceTimersByTime(1000 * seconds);
  const { rate, left } = pace.at(done);
  expect(`${rate}|${left}`).toBe(text);
});
