/** The module families of quantization, by the short names that PyTorch's own sources use for torch.ao.nn.*. */

export * as nni from "../../nn/intrinsic/index.ts";
export * as nniqat from "../../nn/intrinsic/qat/index.ts";
export * as nniqd from "../../nn/intrinsic/quantized/dynamic/index.ts";
export * as nniq from "../../nn/intrinsic/quantized/index.ts";
export * as nnqatd from "../../nn/qat/dynamic/index.ts";
export * as nnqat from "../../nn/qat/index.ts";
export * as nnqa from "../../nn/quantizable/index.ts";
export * as nnqd from "../../nn/quantized/dynamic/index.ts";
export * as nnq from "../../nn/quantized/index.ts";
export * as nnqr from "../../nn/reference/index.ts";
