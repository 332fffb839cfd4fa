/** Training layers that end in dynamic quantization, as in torch.ao.nn.qat.dynamic. */

export * from "./linear.ts";
