/**
 * What importing one file may cost, so that a small file cannot take all memory or time: loops in loops, functions that
 * call one another twice, constants that double. Folding stops where it is too dear, and the operator stays in the
 * graph; too many nodes are an error.
 */

import { OnnxError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";

/** Nodes walked through and made beyond those of the file, each turn of a loop and call of a function counted. */
const MOST_VISITS = 2 ** 16;
/** Operators that a node of the file may become. */
const NODES_EACH = 16;
/** Values that folding may compute beyond those the file holds, and how often those of the file may be recomputed. */
const FOLDED_VALUES = 2 ** 24;
const FOLDED_TIMES = 8;
/** Multiplications that folding may do; shapes need none worth speaking of. */
const FOLDED_PRODUCTS = 2 ** 30;

/** Operators whose work is not their number of values. */
const products = /matmul|linear|conv|bilinear|rnn|lstm|gru|attention/i;

type Input = Tensor | number | null;

/** Multiplications of a product: every result sums over what the second operand's longest axis leaves. */
function multiplications(inputs: readonly Input[], results: number): number {
  const weight = inputs[1];
  if (!(weight instanceof Tensor)) return results;
  return results * (weight.numel / Math.max(1, ...weight.shape));
}

export class Budget {
  private visits: number;
  private values: number;
  private multiplications: number;

  private constructor(visits: number, values: number, products: number) {
    this.visits = visits;
    this.values = values;
    this.multiplications = products;
  }

  /** @param nodes of the file's graph. */
  static forImport(nodes: number): Budget {
    return new Budget(MOST_VISITS + NODES_EACH * nodes, FOLDED_VALUES, FOLDED_PRODUCTS);
  }

  /** For running a node: its user decided to. */
  static unlimited(): Budget {
    return new Budget(Infinity, Infinity, Infinity);
  }

  /** The file holds a tensor: it may be recomputed a few times (transposed, scaled). */
  grant(tensor: Tensor): void {
    this.values += FOLDED_TIMES * tensor.numel;
  }

  /** @throws OnnxError when the model has unrolled into too many nodes. */
  visit(): void {
    if (--this.visits >= 0) return;
    throw new OnnxError(
      "importOnnx",
      { nodes: MOST_VISITS },
      "loops and functions of the model unroll into more nodes than are followed",
    );
  }

  /**
   * Whether constants of these types may be computed now; if so, it is paid for.
   * @param taps how many values of its input every result of a pool reads.
   */
  affords(name: string, inputs: readonly Input[], types: readonly TensorType[], taps = 1): boolean {
    const results = types.reduce((sum, { shape }) => sum + numel(shape), 0);
    const work = products.test(name) ? multiplications(inputs, results) : taps > 1 ? results * taps : 0;
    if (!(results <= this.values) || !(work <= this.multiplications)) return false;
    this.values -= results;
    this.multiplications -= work;
    return true;
  }
}
