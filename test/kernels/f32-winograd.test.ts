import { describe, expect, test } from "vitest";
import { convNdBackwardInputF32, convNdF32 } from "../../src/engine/eager/conv.ts";
import { convNdBackwardWeightF32 } from "../../src/engine/eager/conv-weight.ts";
import type { ConvShape } from "../../src/engine/f32/geometry.ts";
import { conv3d } from "../../src/engine/f32/geometry.ts";
import { takesWinograd } from "../../src/engine/f32/winograd.ts";
import { Engine } from "../../src/engine/engine.ts";
import { WINOGRAD_BUDGET } from "../../src/kernels/budget.ts";
import { convWeightGradReference } from "../../src/kernels/f32-conv-weight/reference.ts";
import { convInputGradReference, convReference } from "../../src/kernels/f32-gemm/reference.ts";
import { engines as direct, expectClose, floats } from "./support.ts";

const engines = direct.map(({ build }) => new Engine({ build }));

function shape(batch: number, inChannels: number, outChannels: number, size: number[], padding: number[]): ConvShape {
  return { batch, inChannels, outChannels, groups: 1, size, kernel: [3, 3], stride: [1, 1], padding, dilation: [1, 1] };
}

const SHAPES = [
  shape(1, 8, 8, [4, 4], [1, 1]),
  shape(2, 12, 20, [9, 14], [1, 1]),
  shape(1, 16, 8, [6, 7], [0, 0]),
  shape(1, 8, 12, [5, 5], [2, 3]),
  shape(3, 8, 8, [8, 8], [1, 0]),
  shape(0, 8, 8, [8, 8], [1, 1]),
];

describe.each(engines)("$build build: Winograd", (engine) => {
  test.each(SHAPES)("%o", (convolution) => {
    const c = conv3d(convolution);
    expect(takesWinograd(engine, c)).toBe(true);
    const x = floats(c.batch * c.inChannels * c.inPixels, 6);
    const w = floats(c.outChannels * c.inChannels * c.points, 7);
    const dy = floats(c.batch * c.outChannels * c.outPixels, 8);
    const bias = floats(c.outChannels, 9);
    expectClose(convNdF32(x, w, bias, convolution, engine), convReference(x, w, bias, c), WINOGRAD_BUDGET);
    expectClose(convNdBackwardInputF32(dy, w, convolution, engine), convInputGradReference(dy, w, c), WINOGRAD_BUDGET);
    expectClose(
      convNdBackwardWeightF32(dy, x, convolution, engine),
      convWeightGradReference(dy, x, c),
      WINOGRAD_BUDGET,
    );
  });

  test("three axes with a flat kernel", () => {
    const flat: ConvShape = {
      ...shape(2, 8, 8, [3, 6, 6], [0, 1, 1]),
      kernel: [1, 3, 3],
      stride: [1, 1, 1],
      dilation: [1, 1, 1],
    };
    const c = conv3d(flat);
    const [x, w, dy] = [floats(2 * 8 * 108, 1), floats(8 * 8 * 9, 2), floats(2 * 8 * 108, 3)];
    expect(takesWinograd(engine, c)).toBe(true);
    expectClose(convNdF32(x, w, null, flat, engine), convReference(x, w, null, c), WINOGRAD_BUDGET);
    expectClose(convNdBackwardWeightF32(dy, x, flat, engine), convWeightGradReference(dy, x, c), WINOGRAD_BUDGET);
  });

  test("is not taken where it is not legal or forbidden", () => {
    expect(takesWinograd(engine, conv3d({ ...shape(1, 8, 8, [8, 8], [1, 1]), stride: [2, 1] }))).toBe(false);
    expect(takesWinograd(engine, conv3d({ ...shape(1, 8, 8, [8, 8], [1, 1]), groups: 2 }))).toBe(false);
    expect(takesWinograd(engine, conv3d(shape(1, 6, 8, [8, 8], [1, 1])))).toBe(false);
    expect(takesWinograd(new Engine({ winograd: false }), conv3d(shape(1, 8, 8, [8, 8], [1, 1])))).toBe(false);
  });
});
