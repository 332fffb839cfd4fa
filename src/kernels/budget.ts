/**
 * How far float kernels may be from their references. In the simd build every direct kernel gives the
 * reference's bits, since it does the same roundings in the same order. The relaxed build rounds a
 * product and its addition once where the machine has a fused multiply-add. Winograd transforms reorder
 * sums. Each budget is relative to the sum of the absolute values of the products that make one output,
 * which is what rounding errors of a sum scale with.
 */

/** Direct kernels, relaxed build. */
export const F32_BUDGET = 1e-6;

/**
 * Winograd F(4x4, 3x3), either build; relative to the largest sum of absolute products of the result. The
 * transforms' coefficients reach 5 forth and 8 back, so roundings grow about tenfold in each of two axes
 * while the products' own roundings average out: random operands come to 2.1e-6 at worst.
 */
export const WINOGRAD_BUDGET = 4e-6;

/** Softmax and smooth activations, either build; relative to the largest absolute value of the result, at least 1. */
export const EXP_BUDGET = 4e-7;

/**
 * Compiled training steps against eager ones: losses and every stored tensor after some steps, relative to its largest
 * value. Differences of one step (another order of sums, Winograd) are carried on by the steps behind it.
 */
export const TRAINING_BUDGET = 2e-4;
