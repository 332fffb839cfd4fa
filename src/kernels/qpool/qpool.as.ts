// Pooling of one NHWC image of stored bytes, sixteen channels at a time. Maxima compare unsigned forms.
// Averages sum exact integers and turn the sum into a byte by one f32 factor a pixel and a rounding
// rule, which covers every average PyTorch and ONNX define.
import { ADD_THEN_ROUND, ADD_THEN_ROUND_TWICE, DIVIDE_THEN_ROUND, Q_FLIP, Q_HIGH, Q_LOW, Q_SHIFT } from "../quantize/layout";
import { MAGIC, offsetOf, pack16, quantize4 } from "../shared/quantize-lanes.as";
import {
  P_CHANNELS,
  P_COLUMNS,
  P_FACTORS,
  P_FLIP,
  P_QUANTIZER,
  P_ROWS,
  P_STEP_X,
  P_STEP_Y,
  P_SUBTRACT,
  P_WINDOWS_X,
  P_WINDOWS_Y,
  P_X_PIXEL,
  P_X_ROW,
  P_Y_PIXEL,
  P_Y_ROW,
} from "./layout";

/** The first n (1..16) bytes of v at y. */
@inline
function storePart(y: usize, v: v128, n: i32): void {
  if (n >= 16) {
    v128.store(y, v);
    return;
  }
  if (n & 8) {
    v128.store64_lane(y, v, 0);
    y += 8;
    v = i64x2.shuffle(v, v, 1, 1);
  }
  if (n & 4) {
    v128.store32_lane(y, v, 0);
    y += 4;
    v = i64x2.shr_u(v, 32);
  }
  if (n & 2) {
    v128.store16_lane(y, v, 0);
    y += 2;
    v = i64x2.shr_u(v, 16);
  }
  if (n & 1) v128.store8_lane(y, v, 0);
}

/** One pixel's maximum over a window of countY x countX taps from x on. */
@inline
function maxPixel(r: usize, x: usize, countY: i32, countX: i32, y: usize): void {
  const stepY = load<usize>(r, P_STEP_Y);
  const stepX = load<usize>(r, P_STEP_X);
  const flip = v128.load32_splat(r, P_FLIP);
  for (let left = load<i32>(r, P_CHANNELS); left > 0; left -= 16) {
    let best = i8x16.splat(0);
    let row = x;
    for (let i = countY; i > 0; i--) {
      let p = row;
      for (let k = countX; k > 0; k--) {
        best = i8x16.max_u(best, v128.xor(v128.load(p), flip));
        p += stepX;
      }
      row += stepY;
    }
    storePart(y, v128.xor(best, flip), left);
    x += 16;
    y += 16;
  }
}

/** y[pixel][channel] = maximum over the pixel's window, record r. Windows may not be empty. x and y must not overlap. */
export function qpool_max(r: usize, x: usize, y: usize): void {
  const windowsX = load<usize>(r, P_WINDOWS_X);
  const columns = load<usize>(r, P_COLUMNS);
  const endY = load<usize>(r, P_WINDOWS_Y) + load<usize>(r, P_ROWS) * 8;
  for (let wy = load<usize>(r, P_WINDOWS_Y); wy < endY; wy += 8) {
    const row = x + load<i32>(wy) * load<usize>(r, P_X_ROW);
    let out = y;
    for (let wx = windowsX; wx < windowsX + columns * 8; wx += 8) {
      maxPixel(r, row + load<i32>(wx) * load<usize>(r, P_X_PIXEL), load<i32>(wy, 4), load<i32>(wx, 4), out);
      out += load<usize>(r, P_Y_PIXEL);
    }
    y += load<usize>(r, P_Y_ROW);
  }
}

/** One pixel's average; R is the rounding rule, see shared/quantize-lanes.as.ts. */
// prettier-ignore
@inline
function averagePixel<R>(r: usize, x: usize, countY: i32, countX: i32, factor: f32, y: usize): void {
  const q = r + P_QUANTIZER, stepY = load<usize>(r, P_STEP_Y), stepX = load<usize>(r, P_STEP_X);
  const flip = v128.load32_splat(r, P_FLIP), start = i32x4.splat(-countY * countX * load<i32>(r, P_SUBTRACT));
  const f = sizeof<R>() == 2 ? f64x2.splat(<f64>factor) : f32x4.splat(factor), o = offsetOf<R>(q);
  const low = v128.load32_splat(q, Q_LOW), high = v128.load32_splat(q, Q_HIGH), magic = f32x4.splat(MAGIC);
  const shift = v128.load16_splat(q, Q_SHIFT), out = v128.load32_splat(q, Q_FLIP);
  for (let left = load<i32>(r, P_CHANNELS); left > 0; left -= 16) {
    let a = start, b = start, c = start, e = start, row = x;
    for (let i = countY; i > 0; i--) {
      let p = row;
      for (let k = countX; k > 0; k--) {
        const v = v128.xor(v128.load(p), flip), l = i16x8.extend_low_i8x16_u(v), h = i16x8.extend_high_i8x16_u(v);
        a = i32x4.add(a, i32x4.extend_low_i16x8_u(l)); b = i32x4.add(b, i32x4.extend_high_i16x8_u(l));
        c = i32x4.add(c, i32x4.extend_low_i16x8_u(h)); e = i32x4.add(e, i32x4.extend_high_i16x8_u(h));
        p += stepX;
      }
      row += stepY;
    }
    a = quantize4<R>(f32x4.convert_i32x4_s(a), f, o, low, high, magic); b = quantize4<R>(f32x4.convert_i32x4_s(b), f, o, low, high, magic);
    c = quantize4<R>(f32x4.convert_i32x4_s(c), f, o, low, high, magic); e = quantize4<R>(f32x4.convert_i32x4_s(e), f, o, low, high, magic);
    storePart(y, pack16(a, b, c, e, shift, out), left);
    x += 16; y += 16;
  }
}

function average<R>(r: usize, x: usize, y: usize): void {
  const windowsX = load<usize>(r, P_WINDOWS_X);
  const columns = load<usize>(r, P_COLUMNS);
  const endY = load<usize>(r, P_WINDOWS_Y) + load<usize>(r, P_ROWS) * 8;
  let factor = load<usize>(r, P_FACTORS);
  for (let wy = load<usize>(r, P_WINDOWS_Y); wy < endY; wy += 8) {
    const row = x + load<i32>(wy) * load<usize>(r, P_X_ROW);
    let out = y;
    for (let wx = windowsX; wx < windowsX + columns * 8; wx += 8) {
      averagePixel<R>(r, row + load<i32>(wx) * load<usize>(r, P_X_PIXEL), load<i32>(wy, 4), load<i32>(wx, 4), load<f32>(factor), out);
      factor += 4;
      out += load<usize>(r, P_Y_PIXEL);
    }
    y += load<usize>(r, P_Y_ROW);
  }
}

/**
 * y[pixel][channel] = rounding rule of f32(sum over the window of (u - subtract)) and the pixel's factor, record r.
 * Sums below 2^31. x and y must not overlap.
 */
export function qpool_average(rule: i32, r: usize, x: usize, y: usize): void {
  if (rule == ADD_THEN_ROUND) average<i16>(r, x, y);
  else if (rule == ADD_THEN_ROUND_TWICE) average<i32>(r, x, y);
  else if (rule == DIVIDE_THEN_ROUND) average<i64>(r, x, y);
  else average<i8>(r, x, y);
}
