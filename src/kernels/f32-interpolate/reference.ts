/** The specification of f32-interpolate: y[o] = sum over t of weight[o][t] * x[index[o][t]], every step rounded, in order. */

export function tapsReference(
  x: Float32Array,
  n: number,
  index: ArrayLike<number>,
  weight: ArrayLike<number>,
  count: number,
): Float32Array {
  const { fround } = Math;
  return Float32Array.from({ length: (index.length / count) * n }, (_, at) => {
    const [o, i] = [Math.floor(at / n), at % n];
    const term = (t: number): number => fround(fround(weight[o * count + t]!) * x[index[o * count + t]! * n + i]!);
    let sum = term(0);
    for (let t = 1; t < count; t++) sum = fround(sum + term(t));
    return sum;
  });
}
