/**
 * No candidate but a yardstick: the most operations of one kind this processor does in WebAssembly, measured in turns with the
 * work of a case. Rates divided by it do not depend on the clock or on who shares the core.
 */

import { peakWork } from "../kernels/peak.ts";
import type { PeakName } from "../kernels/peak.ts";
import type { Candidate } from "../lib/candidate.ts";

export async function peak(name: PeakName): Promise<Candidate> {
  const { call, amount } = await peakWork(name);
  return {
    describe: () => `twelve chains of the ${name} in registers`,
    prepare: () => Promise.resolve({ call, amount, output: () => null, dispose: () => undefined }),
  };
}
