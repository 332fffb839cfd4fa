/** The specification of f32-pool on dense NHWC arrays: windows clipped to the image, visited in rows. */

const { fround } = Math;

/** A pool of a batch of h x w x channels images. */
export interface PoolShape {
  readonly batch: number;
  readonly h: number;
  readonly w: number;
  readonly channels: number;
  readonly outH: number;
  readonly outW: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
}

/** Index of one output element and the indices of its window that lie inside the image. */
interface Window {
  readonly out: number;
  readonly inside: readonly number[];
  /** Elements of the window that lie in the image or its padding. */
  readonly padded: number;
}

function* windows(s: PoolShape): Generator<Window> {
  let out = 0;
  for (let n = 0; n < s.batch; n++)
    for (let i = 0; i < s.outH; i++)
      for (let j = 0; j < s.outW; j++)
        for (let c = 0; c < s.channels; c++) {
          const inside: number[] = [];
          let padded = 0;
          for (let ky = 0; ky < s.kernel[0]; ky++)
            for (let kx = 0; kx < s.kernel[1]; kx++) {
              const y = i * s.stride[0] - s.padding[0] + ky * s.dilation[0];
              const x = j * s.stride[1] - s.padding[1] + kx * s.dilation[1];
              if (y < s.h + s.padding[0] && x < s.w + s.padding[1]) padded++;
              if (y >= 0 && x >= 0 && y < s.h && x < s.w) inside.push(((n * s.h + y) * s.w + x) * s.channels + c);
            }
          yield { out: out++, inside, padded };
        }
}

function outLength(s: PoolShape): number {
  return s.batch * s.outH * s.outW * s.channels;
}

/** Index of the first largest element, or of the last NaN. */
function best(x: Float32Array, inside: readonly number[]): number | undefined {
  let place: number | undefined;
  for (const at of inside) if (place === undefined || x[at]! > x[place]! || Number.isNaN(x[at])) place = at;
  return place;
}

export function maxPoolReference(x: Float32Array, s: PoolShape): Float32Array {
  const y = new Float32Array(outLength(s));
  for (const { out, inside } of windows(s)) {
    const place = best(x, inside);
    y[out] = place === undefined ? -Infinity : x[place]!;
  }
  return y;
}

export function maxPoolGradReference(dy: Float32Array, x: Float32Array, s: PoolShape): Float32Array {
  const dx = new Float32Array(x.length);
  for (const { out, inside } of windows(s)) {
    const place = best(x, inside);
    if (place !== undefined) dx[place]! += dy[out]!;
  }
  return dx;
}

/** How many elements an average counts. */
export type Divisor =
  { readonly kind: "inside" } | { readonly kind: "padded" } | { readonly kind: "fixed"; readonly value: number };

function divisorOf(window: Window, divisor: Divisor): number {
  if (divisor.kind === "fixed") return divisor.value;
  return divisor.kind === "padded" ? window.padded : window.inside.length;
}

export function avgPoolReference(x: Float32Array, s: PoolShape, divisor: Divisor): Float32Array {
  const y = new Float32Array(outLength(s));
  for (const window of windows(s)) {
    y[window.out] = window.inside.reduce((sum, at) => fround(sum + x[at]!), 0) / divisorOf(window, divisor);
  }
  return y;
}

export function avgPoolGradReference(dy: Float32Array, s: PoolShape, divisor: Divisor): Float32Array {
  const dx = new Float32Array(s.batch * s.h * s.w * s.channels);
  for (const window of windows(s)) {
    const share = fround(dy[window.out]! / divisorOf(window, divisor));
    for (const at of window.inside) dx[at]! += share;
  }
  return dx;
}
