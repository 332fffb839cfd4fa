/** Fused dynamically quantized modules, as in torch.ao.nn.intrinsic.quantized.dynamic. */

export * from "./linear-relu.ts";
