// Float functions of two operands over lines (see shared/lines). An operand either has a number for each element or one
// number a line, which is how broadcasting over inner axes looks; broadcasting over outer ones is a table that repeats.
// Every operation rounds once, in both builds. y may be an operand that has as many numbers, with the same table.
// Lines may be empty. Up to 12 bytes past a line are read, never written.

import { offsetAt, storeLanes } from "../shared/lines.as";
import { clamp } from "../shared/rows.as";
import { ADD, DIV, MAXIMUM, MUL, SUB } from "./kinds";

/** K stands for a function, so that each loop is compiled for its own: i8 add, i16 sub, i32 mul, i64 div, f32 maximum, f64 minimum. */
@inline
function combine<K>(a: v128, b: v128): v128 {
  if (isFloat<K>()) return sizeof<K>() == 4 ? f32x4.max(a, b) : f32x4.min(a, b);
  if (sizeof<K>() == 1) return f32x4.add(a, b);
  if (sizeof<K>() == 2) return f32x4.sub(a, b);
  return sizeof<K>() == 4 ? f32x4.mul(a, b) : f32x4.div(a, b);
}

/** One line, a number of each operand for each element. */
@inline
function pairs<K>(a: usize, b: usize, y: usize, bytes: usize, low: v128, high: v128): void {
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(y + i, clamp(combine<K>(v128.load(a + i), v128.load(b + i)), low, high));
  if (i < bytes) storeLanes(y + i, clamp(combine<K>(v128.load(a + i), v128.load(b + i)), low, high), (bytes - i) >> 2);
}

/** One line, one of the operands being one number. */
@inline
function line<K>(a: usize, b: usize, y: usize, bytes: usize, aEach: i32, bEach: i32, low: v128, high: v128): void {
  if (aEach & bEach) return pairs<K>(a, b, y, bytes, low, high);
  const oneA = v128.load32_splat(a), oneB = v128.load32_splat(b);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = clamp(combine<K>(aEach ? v128.load(a + i) : oneA, bEach ? v128.load(b + i) : oneB), low, high);
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
    if (kind == ADD) line<i8>(pa, pb, py, bytes, aEach, bEach, low, high);
    else if (kind == SUB) line<i16>(pa, pb, py, bytes, aEach, bEach, low, high);
    else if (kind == MUL) line<i32>(pa, pb, py, bytes, aEach, bEach, low, high);
    else if (kind == DIV) line<i64>(pa, pb, py, bytes, aEach, bEach, low, high);
    else if (kind == MAXIMUM) line<f32>(pa, pb, py, bytes, aEach, bEach, low, high);
    else line<f64>(pa, pb, py, bytes, aEach, bEach, low, high);
  }
}
