// The functions of f32_exponential and of f32_unary, by number; a, b and c are their parameters. This file is read twice, by
// TypeScript and by AssemblyScript; only integer constants can live here.

/** Of one exponential each. */
export const SIGMOID = 0;
export const SILU = 1;
export const TANH = 2;
/** By tanh(sqrt(2 / pi) (x + 0.044715 x^3)). */
export const GELU_TANH = 3;
/** By the error function. */
export const GELU = 4;
export const EXP = 5;
/** a x above 0, else b (e^(c x) - 1). */
export const ELU = 6;
export const MISH = 7;
/** ln(1 + e^(a x)) / a, and x where a x is above b. */
export const SOFTPLUS = 8;
export const LOG_SIGMOID = 9;

/** Of a few operations, each rounded once. */
export const HARD_SIGMOID = 0;
export const HARD_SWISH = 1;
/** a x below 0, else x. */
export const LEAKY_RELU = 2;
export const NEG = 3;
export const ABS = 4;
export const SQRT = 5;
export const RSQRT = 6;
export const RECIPROCAL = 7;
export const FLOOR = 8;
export const CEIL = 9;
export const TRUNC = 10;
export const ROUND = 11;
export const SQUARE = 12;
export const CUBE = 13;
/** x above a, else b. */
export const THRESHOLD = 14;
export const SOFTSIGN = 15;
/** Fits: the error function, and the natural logarithm. */
export const ERF = 16;
export const LOG = 17;
