/**
 * Scalar functions JavaScript's Math lacks.
 */

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/**
 * erf(x) = 2/sqrt(pi) e^(-x^2) sum of 2^n x^(2n+1) / (1 3 5 ... (2n+1)) (Abramowitz and Stegun 7.1.6): all terms are
 * positive, so nothing cancels. Takes up to a hundred terms.
 */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return TWO_OVER_SQRT_PI * Math.exp(-x * x) * sum;
}

/** erf is 1 in double precision from here on. */
const SATURATED = 6;
const POINTS_PER_UNIT = 16;
const TERMS = 10;

/**
 * Taylor coefficients of erf around the points c = 0, 1/16, ... 6, so that one call costs ten multiplications. With
 * e^(-(c+h)^2) = sum of g[n] h^n: g[0] = e^(-c^2), (n + 1) g[n+1] = -2 c g[n] - 2 g[n-1], and erf' = 2/sqrt(pi) g.
 */
function taylorTable(): Float64Array {
  const table = new Float64Array((SATURATED * POINTS_PER_UNIT + 1) * (TERMS + 1));
  for (let point = 0; point <= SATURATED * POINTS_PER_UNIT; point++) {
    const c = point / POINTS_PER_UNIT;
    const row = table.subarray(point * (TERMS + 1), (point + 1) * (TERMS + 1));
    row[0] = erfSeries(c);
    let [before, g] = [0, Math.exp(-c * c)];
    for (let n = 0; n < TERMS; n++) {
      row[n + 1] = (TWO_OVER_SQRT_PI * g) / (n + 1);
      [before, g] = [g, (-2 * c * g - 2 * before) / (n + 1)];
    }
  }
  return table;
}

/** Made when it is first wanted, not while a program starts: a cache of constants. */
let taylor: Float64Array | undefined;

/** The error function, to about 1e-15 relative. */
export function erfOf(x: number): number {
  const a = Math.abs(x);
  if (!(a < SATURATED)) return x !== x ? x : Math.sign(x);
  const point = Math.floor(a * POINTS_PER_UNIT + 0.5);
  const h = a - point / POINTS_PER_UNIT;
  const first = point * (TERMS + 1);
  const table = (taylor ??= taylorTable());
  let sum = table[first + TERMS]!;
  for (let n = TERMS - 1; n >= 0; n--) sum = sum * h + table[first + n]!;
  return x > 0 ? sum : x === 0 ? x : -sum;
}
