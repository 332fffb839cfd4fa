/** Kernels on plain arrays, for operators: copy in, run, copy out. */

export { convOutLength } from "../f32/geometry.ts";
export type { ConvShape } from "../f32/geometry.ts";
export { convNdBackwardInputF32, convNdF32 } from "./conv.ts";
export { convNdBackwardWeightF32 } from "./conv-weight.ts";
export { matmulF32 } from "./matmul.ts";
export type { MatmulShape } from "./matmul.ts";
