// Float functions of two operands over lines (see shared/lines). An operand either has a number for each element or one
// number a line, which is how broadcasting over inner axes looks; broadcasting over outer ones is a table that repeats.
// Every operation rounds once, in both builds. y may be an operand that has as many numbers, with the same table.
// Lines may be empty. Up to 12 bytes past a line are read, never written.

import { offsetAt, storeLanes } from "../shared/lines.as";
import { clamp } from "../shared/rows.as";
import { ADD, DIV, MAXIMUM, MUL, SUB } from "./kinds";

/** NaN if either is NaN. */
@inline
function combine(kind: i32, a: v128, b: v128): v128 {
  if (kind == ADD) return f32x4.add(a, b);
  if (kind == MUL) return f32x4.mul(a, b);
  if (kind == SUB) return f32x4.sub(a, b);
  if (kind == DIV) return f32x4.div(a, b);
  return kind == MAXIMUM ? f32x4.max(a, b) : f32x4.min(a, b);
}

/** One line, a number of each operand for each element, of the two functions that come most; K: i8 add, i16 mul. */
@inline
function pairs<K>(a: usize, b: usize, y: usize, bytes: usize, low: v128, high: v128): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const va = v128.load(a + i), vb = v128.load(b + i);
    const v = clamp(sizeof<K>() == 1 ? f32x4.add(va, vb) : f32x4.mul(va, vb), low, high);
    if (i + 16 <= bytes) v128.store(y + i, v);
    else storeLanes(y + i, v, (bytes - i) >> 2);
  }
}

/**
 * y = clamp(kind(a, b), lo, hi) over lines [lineStart, lineEnd) of n floats; aEach and bEach: whether the operand has a
 * number for each element (1), or one a line (0). NaN stays NaN.
 */
export function f32_binary(
  lineStart: usize, lineEnd: usize, aLines: usize, bLines: usize, yLines: usize, a: usize, b: usize, y: usize, n: usize,
  kind: i32, aEach: i32, bEach: i32, lo: f32, hi: f32,
): void {
  const low = f32x4.splat(lo), high = f32x4.splat(hi), bytes = n << 2;
  for (let at = lineStart; at < lineEnd; at++) {
    const pa = a + offsetAt(aLines, at), pb = b + offsetAt(bLines, at), py = y + offsetAt(yLines, at);
    if (aEach & bEach && kind <= MUL) {
      if (kind == ADD) pairs<i8>(pa, pb, py, bytes, low, high);
      else pairs<i16>(pa, pb, py, bytes, low, high);
      continue;
    }
    const oneA = v128.load32_splat(pa), oneB = v128.load32_splat(pb);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = clamp(combine(kind, aEach ? v128.load(pa + i) : oneA, bEach ? v128.load(pb + i) : oneB), low, high);
      if (i + 16 <= bytes) v128.store(py + i, v);
      else storeLanes(py + i, v, (bytes - i) >> 2);
    }
  }
}
