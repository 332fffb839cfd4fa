/**
 * Einsum as broadcasting products: operands are laid out along all letters, multiplied, and summed over the letters
 * that the result lacks. Two operands that share one summed letter become a matrix product's worth of memory only
 * when they are that large themselves.
 */

import { mul } from "../../ops/arithmetic.ts";
import { sum } from "../../ops/reduce.ts";
import { expand, permute, reshape } from "../../ops/shape.ts";
import { gather } from "../../ops/gather.ts";
import { fromArray } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Call } from "../call.ts";

/** Letters of the axes an ellipsis stands for, last axis first; no equation uses capital Greek ones. */
const HIDDEN = "ΩΨΧΦΥΤΣΡ";

function spell(call: Call, term: string, rank: number): string {
  const trimmed = term.replaceAll(" ", "");
  if (!trimmed.includes("...")) return trimmed;
  const missing = rank - (trimmed.length - 3);
  if (missing < 0 || missing > HIDDEN.length) call.fail("an ellipsis does not fit its operand", { term, rank });
  return trimmed.replace("...", [...HIDDEN.slice(0, missing)].reverse().join(""));
}

/** The diagonal along a letter that an operand names twice. */
function diagonal(call: Call, x: Tensor, letters: string): { x: Tensor; letters: string } {
  const twice = [...letters].findIndex((letter, i) => letters.indexOf(letter) < i);
  if (twice < 0) return { x, letters };
  const first = letters.indexOf(letters[twice]!);
  const rest = x.shape.flatMap((_, i) => (i === first || i === twice ? [] : [i]));
  const moved = permute(x, [...rest, first, twice]);
  const size = x.shape[first]!;
  call.checkSize([size]);
  const shape = [...moved.shape.slice(0, -1), 1];
  const lined = reshape(
    fromArray(
      Array.from({ length: size }, (_, i) => i),
      [size],
      "int64",
    ),
    [...rest.map(() => 1), size, 1],
  );
  const picked = reshape(gather(moved, moved.rank - 1, expand(lined, shape)), shape.slice(0, -1));
  return diagonal(call, picked, rest.map((i) => letters[i]).join("") + letters[first]);
}

export function einsum(call: Call): Tensor {
  const [left = "", right] = call.string("equation").split("->");
  const terms = left.split(",").map((term, i) => spell(call, term, call.input(i).rank));
  const operands = terms.map((letters, i) => diagonal(call, call.input(i), letters));
  const counts = [...terms.join("")].sort();
  const once = counts.filter((letter, i) => counts[i - 1] !== letter && counts[i + 1] !== letter);
  const hidden = [...HIDDEN].reverse().filter((letter) => counts.includes(letter));
  const shown = once.filter((letter) => !HIDDEN.includes(letter));
  const output =
    right === undefined ? [...hidden, ...shown] : [...right.replaceAll(" ", "").replace("...", hidden.join(""))];
  const all = [...output, ...[...new Set(counts)].filter((letter) => !output.includes(letter))];
  const aligned = operands.map(({ x, letters }) => {
    const order = all.flatMap((letter) => (letters.includes(letter) ? [letters.indexOf(letter)] : []));
    const shape = all.map((letter) => (letters.includes(letter) ? x.shape[letters.indexOf(letter)]! : 1));
    return reshape(permute(x, order), shape);
  });
  const product = aligned.reduce((a, b) => mul(a, b));
  const summed = all.flatMap((_, axis) => (axis < output.length ? [] : [axis]));
  return summed.length === 0 ? product : sum(product, summed);
}
