/** Weights of a product in the form the machine's fastest exact kernel reads. */

import { packWeights, weightFacts, weightRows } from "./pack.ts";
import type { PackedWeights, WeightSource } from "./pack.ts";
import { chooseProductVariant } from "./variant.ts";
import type { Variant } from "./list.ts";
import type { DotClass, WeightFacts } from "./variant.ts";

/** Packs weights for the variant that is chosen by what they are. @throws ArgumentError when the weights do not fit. */
export type Packer = (source: WeightSource, choose: (facts: WeightFacts) => Variant) => PackedWeights;

export interface MachineChoice {
  readonly dot: DotClass;
  /** Largest activation of the unsigned form, 255 unless the producer clamps lower. */
  readonly activationMax?: number;
  /** Forces a variant; the caller answers for its exactness. */
  readonly variant?: Variant;
  /** How weights are packed; by default by the reference. */
  readonly pack?: Packer;
}

const packByReference: Packer = (source, choose) => {
  const rows = weightRows(source);
  return packWeights(rows, source.channels, choose(weightFacts(rows)));
};

/** @throws ArgumentError when the weights do not fit. */
export function productWeights(source: WeightSource, machine: MachineChoice): PackedWeights {
  const { pack = packByReference } = machine;
  return pack(source, (facts) => machine.variant ?? chooseProductVariant(machine.dot, facts, machine.activationMax));
}
