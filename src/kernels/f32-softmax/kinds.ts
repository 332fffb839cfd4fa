// The forms of f32_softmax, by number. This file is read twice, by TypeScript and by AssemblyScript; only integer
// constants can live here.

export const SOFTMAX = 0;
export const LOGARITHM = 1;
/** Rows of -Infinity alone, where attention may see nothing, give 0 instead of NaN. */
export const ROWS_OF_NOTHING_ARE_ZERO = 2;
