/** Fused quantized modules, as in torch.ao.nn.intrinsic.quantized. */

export * from "./bn-relu.ts";
export * from "./conv.ts";
export * from "./linear.ts";
