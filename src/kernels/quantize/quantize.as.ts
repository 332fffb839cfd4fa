// Between f32 and stored bytes: contiguous rows, and the transposes that bring images in and out of the
// engine (NCHW f32 to bordered NHWC bytes and back). Rules and records: rules.ts. The last lanes of a
// row go through a copy of the same vector code, so no element is rounded differently.
import {
  ADD_THEN_ROUND,
  ADD_THEN_ROUND_TWICE,
  D_FLIP,
  D_SUBTRACT,
  DIVIDE_THEN_ROUND,
  Q_FLIP,
  Q_HIGH,
  Q_LOW,
  Q_SHIFT,
} from "./layout";
import {
  addendOf,
  dequantize4,
  factorOf,
  isFused,
  lanes0,
  lanes1,
  lanes2,
  lanes3,
  MAGIC,
  nanSide,
  offsetOf,
  pack16,
  quantize4,
  scaleOf,
  settleNan,
} from "../shared/quantize-lanes.as";

function quantizeRow<R>(n: usize, x: usize, y: usize, q: usize): void {
  const factor = factorOf<R>(q);
  const offset = offsetOf<R>(q);
  const low = v128.load32_splat(q, Q_LOW);
  const high = v128.load32_splat(q, Q_HIGH);
  const shift = v128.load16_splat(q, Q_SHIFT);
  const flip = v128.load32_splat(q, Q_FLIP);
  const magic = f32x4.splat(MAGIC);
  const side = nanSide(q);
  const end = y + n;
  for (; y + 16 <= end; y += 16) {
    const a = quantize4<R>(settleNan(v128.load(x), side), factor, offset, low, high, magic);
    const b = quantize4<R>(settleNan(v128.load(x, 16), side), factor, offset, low, high, magic);
    const c = quantize4<R>(settleNan(v128.load(x, 32), side), factor, offset, low, high, magic);
    const d = quantize4<R>(settleNan(v128.load(x, 48), side), factor, offset, low, high, magic);
    v128.store(y, pack16(a, b, c, d, shift, flip));
    x += 64;
  }
  for (; y < end; y++) {
    const a = quantize4<R>(settleNan(v128.load32_splat(x), side), factor, offset, low, high, magic);
    v128.store8_lane(y, pack16(a, a, a, a, shift, flip), 0);
    x += 4;
  }
}

/** y[i] = stored byte of x[i], i < n, by the rule and record q. y may be x. */
export function quantize_bytes(rule: i32, n: usize, x: usize, y: usize, q: usize): void {
  if (rule == ADD_THEN_ROUND) quantizeRow<i16>(n, x, y, q);
  else if (rule == ADD_THEN_ROUND_TWICE) quantizeRow<i32>(n, x, y, q);
  else if (rule == DIVIDE_THEN_ROUND) quantizeRow<i64>(n, x, y, q);
  else quantizeRow<i8>(n, x, y, q);
}

function dequantizeRow<F>(n: usize, x: usize, y: usize, d: usize): void {
  const scale = scaleOf<F>(d);
  const addend = addendOf<F>(d);
  const subtract = v128.load16_splat(d, D_SUBTRACT);
  const flip = v128.load32_splat(d, D_FLIP);
  const end = x + n;
  for (; x + 16 <= end; x += 16) {
    const u = v128.xor(v128.load(x), flip);
    v128.store(y, dequantize4<F>(lanes0(u, subtract), scale, addend));
    v128.store(y, dequantize4<F>(lanes1(u, subtract), scale, addend), 16);
    v128.store(y, dequantize4<F>(lanes2(u, subtract), scale, addend), 32);
    v128.store(y, dequantize4<F>(lanes3(u, subtract), scale, addend), 48);
    y += 64;
  }
  for (; x < end; x++) {
    const u = v128.xor(v128.load8_splat(x), flip);
    v128.store32_lane(y, dequantize4<F>(lanes0(u, subtract), scale, addend), 0);
    y += 4;
  }
}

/** y[i] = real number of the stored byte x[i], i < n, by record d. x and y must not overlap. */
export function dequantize_bytes(n: usize, x: usize, y: usize, d: usize): void {
  if (isFused(d)) dequantizeRow<i16>(n, x, y, d);
  else dequantizeRow<i8>(n, x, y, d);
}

/** One image row of all channels, four channels and four pixels at a time; three channels in pixels of four bytes as four, the third twice. */
function quantizePixels<R>(given: usize, w: usize, x: usize, plane: usize, y: usize, pixel: usize, q: usize): void {
  const factor = factorOf<R>(q);
  const offset = offsetOf<R>(q);
  const low = v128.load32_splat(q, Q_LOW);
  const high = v128.load32_splat(q, Q_HIGH);
  const shift = v128.load16_splat(q, Q_SHIFT);
  const flip = v128.load32_splat(q, Q_FLIP);
  const magic = f32x4.splat(MAGIC);
  const side = nanSide(q);
  const padded = given == 3 && pixel == 4;
  const channels: usize = padded ? 4 : given;
  const fourth = padded ? 2 * plane : 3 * plane;
  let c: usize = 0;
  for (; c + 4 <= channels; c += 4) {
    let p = x + c * plane;
    let o = y + c;
    const end = p + (w & ~3) * 4;
    for (; p < end; p += 16) {
      const a = quantize4<R>(settleNan(v128.load(p), side), factor, offset, low, high, magic);
      const b = quantize4<R>(settleNan(v128.load(p + plane), side), factor, offset, low, high, magic);
      const e = quantize4<R>(settleNan(v128.load(p + 2 * plane), side), factor, offset, low, high, magic);
      const g = quantize4<R>(settleNan(v128.load(p + fourth), side), factor, offset, low, high, magic);
      const bytes = pack16(a, b, e, g, shift, flip);
      const pixels = i8x16.shuffle(bytes, bytes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      v128.store32_lane(o, pixels, 0);
      v128.store32_lane(o + pixel, pixels, 1);
      v128.store32_lane(o + 2 * pixel, pixels, 2);
      v128.store32_lane(o + 3 * pixel, pixels, 3);
      o += 4 * pixel;
    }
    for (let i = w & ~3; i < w; i++) {
      for (let k: usize = 0; k < 4; k++) {
        const v = quantize4<R>(settleNan(v128.load32_splat(p + (k == 3 ? fourth : k * plane)), side), factor, offset, low, high, magic);
        v128.store8_lane(o + k, pack16(v, v, v, v, shift, flip), 0);
      }
      p += 4;
      o += pixel;
    }
  }
  for (; c < channels; c++) {
    let p = x + c * plane;
    let o = y + c;
    let left = <isize>w;
    for (; left > 0; left -= 4) {
      const full = left >= 4;
      const v = full ? v128.load(p) : v128.load32_splat(p);
      const a = quantize4<R>(settleNan(v, side), factor, offset, low, high, magic);
      const bytes = pack16(a, a, a, a, shift, flip);
      v128.store8_lane(o, bytes, 0);
      o += pixel;
      p += 4;
      if (!full) {
        left += 3;
        continue;
      }
      v128.store8_lane(o, bytes, 1);
      v128.store8_lane(o + pixel, bytes, 2);
      v128.store8_lane(o + 2 * pixel, bytes, 3);
      o += 3 * pixel;
      p += 12;
    }
  }
}

/**
 * One image: y[row][column][channel] = stored byte of x[channel][row][column]. x is dense f32; rows of y are
 * `yRow` bytes apart and pixels `pixel` bytes. x and y must not overlap. Of three channels in pixels of four bytes the
 * fourth byte is written too.
 */
export function quantize_nchw_nhwc(rule: i32, channels: usize, h: usize, w: usize, x: usize, y: usize, yRow: usize, pixel: usize, q: usize): void {
  const plane = h * w * 4;
  for (let row: usize = 0; row < h; row++) {
    if (rule == ADD_THEN_ROUND) quantizePixels<i16>(channels, w, x, plane, y, pixel, q);
    else if (rule == ADD_THEN_ROUND_TWICE) quantizePixels<i32>(channels, w, x, plane, y, pixel, q);
    else if (rule == DIVIDE_THEN_ROUND) quantizePixels<i64>(channels, w, x, plane, y, pixel, q);
    else quantizePixels<i8>(channels, w, x, plane, y, pixel, q);
    x += w * 4;
    y += yRow;
  }
}

function dequantizePixels<F>(channels: usize, w: usize, x: usize, pixel: usize, y: usize, plane: usize, d: usize): void {
  const scale = scaleOf<F>(d);
  const addend = addendOf<F>(d);
  const subtract = v128.load16_splat(d, D_SUBTRACT);
  const flip = v128.load32_splat(d, D_FLIP);
  for (let i: usize = 0; i < w; i++) {
    let c: usize = 0;
    for (; c + 4 <= channels; c += 4) {
      const u = v128.xor(v128.load32_splat(x + c), flip);
      const v = dequantize4<F>(lanes0(u, subtract), scale, addend);
      const p = y + c * plane;
      v128.store32_lane(p, v, 0);
      v128.store32_lane(p + plane, v, 1);
      v128.store32_lane(p + 2 * plane, v, 2);
      v128.store32_lane(p + 3 * plane, v, 3);
    }
    for (; c < channels; c++) {
      const u = v128.xor(v128.load8_splat(x + c), flip);
      v128.store32_lane(y + c * plane, dequantize4<F>(lanes0(u, subtract), scale, addend), 0);
    }
    x += pixel;
    y += 4;
  }
}

/** One image the other way: y[channel][row][column] dense f32 of stored bytes x. x and y must not overlap. */
export function dequantize_nhwc_nchw(channels: usize, h: usize, w: usize, x: usize, xRow: usize, pixel: usize, y: usize, d: usize): void {
  const plane = h * w * 4;
  for (let row: usize = 0; row < h; row++) {
    if (isFused(d)) dequantizePixels<i16>(channels, w, x, pixel, y, plane, d);
    else dequantizePixels<i8>(channels, w, x, pixel, y, plane, d);
    x += xRow;
    y += w * 4;
  }
}
