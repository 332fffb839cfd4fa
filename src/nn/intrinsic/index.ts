/** Fused float layers, as in torch.ao.nn.intrinsic. */

export * from "./fused.ts";
