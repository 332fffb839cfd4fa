/** Layers that round as oneDNN and qnnpack do are the reference's bits, in every build. */

import { describe, expect, test } from "vitest";
import "../../src/ops/methods.ts";
import { quantizePerChannel, quantizePerTensor } from "../../src/ops/quantize/native.ts";
import { quantizedConv1d, quantizedConv2d, quantizedConvAdd2d } from "../../src/ops/quantized/conv.ts";
import { quantizedConvTranspose2d } from "../../src/ops/quantized/conv-transpose.ts";
import { quantizedLinear } from "../../src/ops/quantized/linear.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { rand, randn, zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { expectCompiledFn } from "./support.ts";

manualSeed(59);

const weightOf = (shape: readonly number[], perChannel: boolean): Tensor => {
  const scales = rand([shape[0]!]).mul(0.01).add(0.005);
  return perChannel
    ? quantizePerChannel(randn([...shape]), scales, zeros([shape[0]!], { dtype: "int64" }), 0, "qint8")
    : quantizePerTensor(randn([...shape]), 0.013, 0, "qint8");
};

const input = (x: Tensor): Tensor => quantizePerTensor(x, 0.02, 117, "quint8");

describe.each(["onednn", "qnnpack", "x86"] as const)("%s", (engine) => {
  for (const perChannel of [false, true])
    for (const relu of [false, true]) {
      const options = { scale: 0.21, zeroPoint: 131, relu, engine };
      const kind = `${perChannel ? "channels" : "one scale"}${relu ? ", relu" : ""}`;

      test(`linear, ${kind}`, () => {
        const [w, b] = [weightOf([21, 13], perChannel), randn([21])];
        for (const rows of [1, 5]) {
          expectCompiledFn((x) => quantizedLinear(input(x), w, b, options), [randn([rows, 13])]);
          expectCompiledFn((x) => quantizedLinear(input(x), w, null, options), [randn([rows, 13])]);
        }
      });

      test(`convolution, ${kind}`, () => {
        const [w, depthwise, b] = [
          weightOf([10, 3, 3, 3], perChannel),
          weightOf([10, 1, 3, 3], perChannel),
          randn([10]),
        ];
        expectCompiledFn(
          (x) => {
            const y = quantizedConv2d(input(x), w, b, { padding: 1, stride: 2, ...options });
            return quantizedConv2d(y, depthwise, b, { padding: 1, groups: 10, ...options });
          },
          [randn([2, 3, 9, 7])],
        );
        const line = weightOf([4, 3, 3], perChannel);
        expectCompiledFn((x) => quantizedConv1d(input(x), line, null, { padding: 1, ...options }), [randn([2, 3, 9])]);
      });
    }

  test("transposed convolution", () => {
    const [w, b] = [weightOf([6, 5, 3, 3], false), randn([5])];
    const options = { scale: 0.3, zeroPoint: 120, stride: 2, engine };
    expectCompiledFn((x) => quantizedConvTranspose2d(input(x), w, b, options), [randn([2, 6, 5, 4])]);
  });
});

test("a convolution plus another tensor, with one rounding", () => {
  const [w, b] = [weightOf([6, 3, 3, 3], true), randn([6])];
  for (const relu of [false, true]) {
    const kernels = expectCompiledFn(
      (x, other) => {
        const added = quantizePerTensor(other, 0.017, 99, "quint8");
        return quantizedConvAdd2d(input(x), w, b, added, {
          padding: 1,
          scale: 0.2,
          zeroPoint: 100,
          relu,
          engine: "onednn",
        });
      },
      [randn([2, 3, 6, 5]), randn([2, 6, 6, 5])],
    );
    expect(kernels.some((kernel) => /^qconv .*quantize/.test(kernel))).toBe(true);
  }
});
