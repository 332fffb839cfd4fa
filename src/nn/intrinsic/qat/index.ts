/** Fused layers with fake-quantized weights, as in torch.ao.nn.intrinsic.qat. */

export * from "./conv-bn.ts";
export * from "./linear-bn.ts";
export * from "./relu.ts";
