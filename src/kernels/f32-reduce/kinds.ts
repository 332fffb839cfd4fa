// The reductions of f32_reduce, by number. This file is read twice, by TypeScript and by AssemblyScript; only integer
// constants can live here.

export const SUM = 0;
export const MAXIMUM = 1;
export const MINIMUM = 2;
