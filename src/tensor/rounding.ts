/**
 * Round to nearest, ties to even: the only rounding in fewbit, as in C's `nearbyint`.
 *
 * JavaScript's own rounding sends halves up, which is off by one on every second tie.
 */

/** Integer nearest to `v`; halves go to the even neighbour. NaN and infinities are returned unchanged. */
export function rint(v: number): number {
  const floor = Math.floor(v);
  const rest = v - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  if (rest !== 0.5) return v; // NaN or infinite
  return floor % 2 === 0 ? floor : floor + 1;
}
