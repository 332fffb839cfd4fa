// The functions of f32_binary, by number. This file is read twice, by TypeScript and by AssemblyScript; only integer
// constants can live here.

export const ADD = 0;
export const MUL = 1;
export const SUB = 2;
export const DIV = 3;
export const MAXIMUM = 4;
export const MINIMUM = 5;
