/** Weights of a product in the form the machine's fastest exact kernel reads. */

import { packPlain, packWeights, weightFacts, weightRows } from "./pack.ts";
import type { PackedWeights, WeightSource } from "./pack.ts";
import { chooseProductVariant } from "./variant.ts";
import type { Variant } from "./list.ts";
import type { DotClass } from "./variant.ts";

export interface MachineChoice {
  readonly dot: DotClass;
  /** Largest activation of the unsigned form, 255 unless the producer clamps lower. */
  readonly activationMax?: number;
  /** Forces a variant; the caller answers for its exactness. */
  readonly variant?: Variant;
}

function isPlain({ data, zeroPoints }: WeightSource): boolean {
  if (!(data instanceof Int8Array)) return false;
  for (let o = 0; o < (zeroPoints?.length ?? 0); o++) if (zeroPoints![o] !== 0) return false;
  return true;
}

/** @throws ArgumentError when the weights do not fit. */
export function productWeights(source: WeightSource, machine: MachineChoice): PackedWeights {
  const isExact = machine.dot === "u8-exact" || machine.dot === "signed";
  // Any s8 weights are exact there, and nothing needs to be known of them.
  if ((machine.variant ?? (isExact ? "relaxed_dot" : null)) === "relaxed_dot" && isPlain(source))
    return packPlain(source);
  const rows = weightRows(source);
  const variant = machine.variant ?? chooseProductVariant(machine.dot, weightFacts(rows), machine.activationMax);
  return packWeights(rows, source.channels, variant);
}
