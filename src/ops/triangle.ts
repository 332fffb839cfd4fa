/**
 * Triangular parts of the matrices in the last two axes, and one-hot vectors.
 */

import { ShapeError } from "../errors.ts";
import { arange } from "../tensor/create.ts";
import { Tensor } from "../tensor/tensor.ts";
import { equal } from "./compare.ts";
import { apply, defineOp, requireUnquantized } from "./op.ts";
import type { Op } from "./op.ts";
import { unsqueeze } from "./shape.ts";
import { cast } from "./unary.ts";

type DiagonalAttrs = { readonly diagonal: number };

function triangle(
  name: string,
  keeps: (column: number, diagonal: number) => boolean,
): Op<readonly [Tensor], DiagonalAttrs> {
  const op: Op<readonly [Tensor], DiagonalAttrs> = defineOp<readonly [Tensor], DiagonalAttrs>({
    name,
    infer([x]) {
      requireUnquantized(name, x);
      if (x.shape.length < 2) throw new ShapeError(name, { shape: x.shape }, "needs matrices: at least two axes");
      return [x];
    },
    forward([x], { diagonal }, [type]) {
      const [rows, columns] = [x.size(-2), x.size(-1)];
      const out = x.data.slice();
      for (let at = 0; at < out.length; at++) {
        const column = at % columns;
        const row = Math.floor(at / columns) % rows;
        if (!keeps(column, row + diagonal)) out[at] = 0;
      }
      return [new Tensor(type!.dtype, type!.shape, out)];
    },
    backward: (dy, { attrs }) => [apply(op, [dy], attrs)],
  });
  return op;
}

export const trilOp = triangle("tril", (column, diagonal) => column <= diagonal);
export const triuOp = triangle("triu", (column, diagonal) => column >= diagonal);

/** The lower triangle, zeros above the given diagonal (0: the main one, positive: further right). @throws ShapeError */
export function tril(x: Tensor, diagonal = 0): Tensor {
  return apply(trilOp, [x], { diagonal });
}

/** The upper triangle, zeros below the given diagonal. @throws ShapeError */
export function triu(x: Tensor, diagonal = 0): Tensor {
  return apply(triuOp, [x], { diagonal });
}

/** int64 [..., numClasses]: 1 at the class, 0 elsewhere (a class outside 0..numClasses-1 leaves zeros only). */
export function oneHot(classes: Tensor, numClasses: number): Tensor {
  return cast(equal(unsqueeze(classes, -1), arange(numClasses)), "int64");
}
