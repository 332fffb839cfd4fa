/**
 * float32 sums over axes in exactly the order of PyTorch's CPU kernel.
 *
 * Where the roundings of a sum decide something (to which integer a mean on a tie goes, where the search of a histogram's
 * range ends), they have to be PyTorch's. The kernel sums in cascades (pairwise in blocks, Higham 1993), four columns of 8 lanes at a time; columns left over, and
 * single rows, are cut into four interleaved parts. Source: ATen/native/cpu/SumKernel.cpp, compiled for 8 lanes on
 * every x86 machine; sums that PyTorch splits among threads are not followed.
 */

import type { Shape } from "../tensor/shape.ts";

const { fround } = Math;

const LANES = 8;
/** Parts a row is cut into, and vectors (or columns) that are summed side by side. */
const PARTS = 4;
const LEVELS = 4;

/** Rows a cascade adds before it passes a sum on, as a power of two. */
function levelPower(rows: number): number {
  const log = rows <= 2 ? 1 : 32 - Math.clz32(rows - 1);
  return Math.max(4, log >> 2);
}

/** Sums of columns: column c of row r is data[base + r * stride + offsets[c]]. */
function sumColumns(
  data: Float32Array,
  base: number,
  stride: number,
  rows: number,
  offsets: readonly number[],
): Float32Array {
  const power = levelPower(rows);
  const step = 2 ** power;
  const levels = Array.from({ length: LEVELS }, () => new Float32Array(offsets.length));
  const [first] = levels as [Float32Array];
  for (let row = 0; row < rows; row++) {
    const at = base + row * stride;
    for (let c = 0; c < offsets.length; c++) first[c] = first[c]! + data[at + offsets[c]!]!;
    const done = row + 1;
    if (done % step !== 0) continue;
    for (let level = 1; level < LEVELS; level++) {
      passOn(levels[level - 1]!, levels[level]!);
      if (Math.floor(done / step ** level) % step !== 0) break;
    }
  }
  for (let level = 1; level < LEVELS; level++) passOn(levels[level]!, first);
  return first;
}

function passOn(from: Float32Array, to: Float32Array): void {
  for (let c = 0; c < to.length; c++) to[c] = to[c]! + from[c]!;
  from.fill(0);
}

/** The same, each column cut into interleaved parts. */
function sumColumnsInParts(
  data: Float32Array,
  base: number,
  stride: number,
  rows: number,
  offsets: readonly number[],
): Float32Array {
  const whole = Math.floor(rows / PARTS);
  const parts = Array.from({ length: PARTS }, (_, part) => offsets.map((offset) => offset + part * stride)).flat();
  const sums = sumColumns(data, base, stride * PARTS, whole, parts);
  return Float32Array.from(offsets, (offset, c) => {
    let sum = sums[c]!;
    for (let row = whole * PARTS; row < rows; row++) sum = fround(sum + data[base + row * stride + offset]!);
    for (let part = 1; part < PARTS; part++) sum = fround(sum + sums[part * offsets.length + c]!);
    return sum;
  });
}

function range(count: number, start = 0): number[] {
  return Array.from({ length: count }, (_, i) => start + i);
}

/** Sums of `columns` adjacent columns over rows `columns` apart. */
function sumOuter(data: Float32Array, base: number, rows: number, columns: number): Float32Array {
  const out = new Float32Array(columns);
  const width = columns >= LANES ? PARTS * LANES : PARTS;
  let column = 0;
  for (; column + width <= columns; column += width) {
    out.set(sumColumns(data, base, columns, rows, range(width, column)), column);
  }
  if (column < columns) out.set(sumColumnsInParts(data, base, columns, rows, range(columns - column, column)), column);
  return out;
}

/** Sum of a row of `length` values `stride` apart. */
function sumRow(data: Float32Array, base: number, length: number, stride: number): number {
  if (stride !== 1 || length < LANES) return sumColumnsInParts(data, base, stride, length, [0])[0]!;
  const vectors = Math.floor(length / LANES);
  const lanes = sumColumnsInParts(data, base, LANES, vectors, range(LANES));
  let sum = 0;
  for (let i = vectors * LANES; i < length; i++) sum = fround(sum + data[base + i]!);
  for (const lane of lanes) sum = fround(sum + lane);
  return sum;
}

interface Axis {
  readonly size: number;
  readonly stride: number;
  readonly reduced: boolean;
}

/** Axes with neighbours of the same fate joined, as the kernel's iterator joins them. */
function joinedAxes(shape: Shape, dim: readonly number[]): Axis[] {
  const axes: { size: number; reduced: boolean }[] = [];
  shape.forEach((size, i) => {
    const reduced = dim.includes(i);
    const last = axes.at(-1);
    if (size === 1) return;
    if (last?.reduced === reduced) last.size *= size;
    else axes.push({ size, reduced });
  });
  return axes.map((axis, i) => ({ ...axis, stride: axes.slice(i + 1).reduce((all, { size }) => all * size, 1) }));
}

/** Every offset the axes reach, the last axis fastest. */
function offsetsOf(axes: readonly Axis[]): number[] {
  return axes.reduce<number[]>(
    (all, { size, stride }) => all.flatMap((at) => range(size).map((i) => at + i * stride)),
    [0],
  );
}

/** Sum of all values. */
export function cascadeTotal(values: Float32Array): number {
  return sumRow(values, 0, values.length, 1);
}

/** Sums over `dim`, row-major in the axes that are left. */
export function cascadeSum(data: Float32Array, shape: Shape, dim: readonly number[]): Float32Array {
  const axes = joinedAxes(shape, dim);
  const reduced = axes.filter((axis) => axis.reduced);
  const kept = axes.filter((axis) => !axis.reduced);
  const innermost = reduced.at(-1);
  if (!innermost) return data.slice();
  const out = new Float32Array(kept.reduce((all, { size }) => all * size, 1));
  if (data.length === 0) return out;
  if (reduced.length === 1 && innermost.stride > 1) {
    const { size, stride } = innermost;
    for (let at = 0; at < out.length; at += stride) out.set(sumOuter(data, at * size, size, stride), at);
    return out;
  }
  const rows = offsetsOf(reduced.slice(0, -1));
  offsetsOf(kept).forEach((base, i) => {
    for (const row of rows) out[i] = out[i]! + sumRow(data, base + row, innermost.size, innermost.stride);
  });
  return out;
}
