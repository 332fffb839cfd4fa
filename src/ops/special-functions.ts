/**
 * Scalar functions JavaScript's Math lacks.
 */

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** Maclaurin series of erf; quick and accurate to double precision for |x| below 3. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return TWO_OVER_SQRT_PI * sum;
}

/** Continued fraction of erfc (Abramowitz and Stegun 7.1.14), evaluated from the tail, for x of 3 and more. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let k = 60; k >= 1; k--) tail = x + k / 2 / tail;
  return Math.exp(-x * x) / (tail * Math.sqrt(Math.PI));
}

/** The error function, to about 1e-15 relative. */
export function erfOf(x: number): number {
  if (x !== x) return x;
  const a = Math.abs(x);
  if (a < 3) return x === 0 ? x : erfSeries(x);
  return Math.sign(x) * (1 - erfcFraction(a));
}
