/** The specification of f32-softmax: exact functions in double, rounded once; the kernel stays within EXP_BUDGET. */

export function softmaxReference(x: Float32Array, n: number, logarithm: boolean): Float32Array {
  const y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += n) {
    const row = x.subarray(start, start + n);
    const highest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.reduce((total, v) => total + Math.exp(v - highest), 0);
    row.forEach((v, i) => {
      y[start + i] = logarithm ? v - highest - Math.log(sum) : Math.exp(v - highest) / sum;
    });
  }
  return y;
}
