/**
 * Quantized convolutions against the reference, bit for bit: kernel sizes, strides, dilations, groups,
 * transposed, odd channel counts, borders wider than needed, channel slices, in every variant.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { ShapeError } from "../../src/errors.ts";
import { convParts } from "../../src/kernels/qconv/conv.ts";
import { NO_BORDER } from "../../src/kernels/qconv/image.ts";
import { compareConv, convEpilogue, shapeOf } from "./conv-cases.ts";
import { seeded } from "./helpers.ts";

const engine = new Engine();

describe.each([
  ["conv", false],
  ["transposed conv", true],
] as const)("%s", (_, transposed) => {
  it("is exact in plain SIMD for every byte", () =>
    compareConv(engine, transposed, { dot: "unusable" }, [0, 255], 128));
  it("is exact in the plain build", () =>
    compareConv(new Engine({ build: "simd" }), transposed, { dot: "unusable" }, [0, 255], 128));
  it("is exact with the variant chosen for this machine", () =>
    compareConv(engine, transposed, { dot: engine.dot }, [0, 255], 128));
  it("is exact with small weights on this machine", () =>
    compareConv(engine, transposed, { dot: engine.dot }, [0, 255], 64));
  it("agrees for signed storage where all machines do: plain SIMD reading flipped bytes", () =>
    compareConv(engine, transposed, { dot: "signed", variant: "simd128" }, [0, 255], 128));
});

it("refuses an input whose border is too small for the padding", () => {
  const shape = shapeOf({ size: [1, 4, 4], channels: [1, 1], padding: [1, 1] });
  const image = { n: 1, h: 4, w: 4, c: 1, border: NO_BORDER };
  const epilogue = convEpilogue(seeded(1), 1, "bytes");
  expect(() =>
    convParts({ shape, input: image, output: image, weights: new Int8Array(9), epilogue }, { dot: "unusable" }),
  ).toThrow(ShapeError);
});
