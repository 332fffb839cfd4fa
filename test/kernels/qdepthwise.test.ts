/**
 * Depthwise convolutions against the reference, bit for bit: every form in every variant, odd heights,
 * strides, dilations, channel counts around the vector width, raw sums, borders and channel slices.
 */

import { describe, expect, it } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { ShapeError } from "../../src/errors.ts";
import type { ConvShape } from "../../src/kernels/qconv/conv.ts";
import { NO_BORDER } from "../../src/kernels/qconv/image.ts";
import { depthwisePart } from "../../src/kernels/qdepthwise/depthwise.ts";
import { qdepthwise } from "../../src/kernels/qdepthwise/list.ts";
import type { Epilogue } from "../../src/kernels/qgemm/post.ts";
import { compareDepthwise, used } from "./depthwise-cases.ts";

const engine = new Engine();
/** Kernels of the relaxed build need a host that has it. */
const onRelaxed = it.runIf(engine.build === "relaxed");
const plainEngine = new Engine({ build: "simd" });
describe("qdepthwise", () => {
  it("is exact in plain SIMD for every byte", () => compareDepthwise(engine, { dot: "unusable" }, [0, 255], 128));
  it("is exact in the plain build", () => compareDepthwise(plainEngine, { dot: "unusable" }, [0, 255], 128));
  it("is exact in plain SIMD on flipped storage", () =>
    compareDepthwise(engine, { dot: "signed", variant: "simd128" }, [0, 255], 128));
  it("is exact with the variant chosen for this machine", () =>
    compareDepthwise(engine, { dot: engine.dot }, [0, 255], 128));
  onRelaxed("takes plain SIMD where a product would look at its activations", () =>
    compareDepthwise(engine, { dot: "saturating", variant: "guarded_i16" }, [0, 255], 128),
  );
  onRelaxed("relaxed_i16 is exact for reduced-range activations", () =>
    compareDepthwise(engine, { dot: "saturating", variant: "relaxed_i16" }, [0, 127], 128),
  );
  onRelaxed("relaxed_dot agrees where all machines do: activations up to 127", () =>
    compareDepthwise(engine, { dot: "u8-exact", variant: "relaxed_dot" }, [0, 127], 128),
  );
  onRelaxed("relaxed_dot on signed storage agrees where all machines do: stored activations up to 127", () =>
    compareDepthwise(engine, { dot: "signed", variant: "relaxed_dot" }, [128, 255], 128),
  );
  onRelaxed("ran every row of the list", () =>
    expect([...used].sort()).toEqual(qdepthwise.map((row) => row.name as string).sort()),
  );

  it("refuses groups of more than one channel", () => {
    const image = { n: 1, h: 2, w: 2, c: 4, border: NO_BORDER };
    const shape: ConvShape = {
      inChannels: 4,
      outChannels: 4,
      groups: 2,
      kernel: [1, 1],
      stride: [1, 1],
      padding: [0, 0],
      dilation: [1, 1],
    };
    const epilogue: Epilogue = {
      inputScale: 1,
      inputZeroPoint: 0,
      weightScales: [1],
      bias: { kind: "none" },
      output: { kind: "i32" },
    };
    expect(() =>
      depthwisePart({ shape, input: image, output: image, weights: new Int8Array(8), epilogue }, { dot: "unusable" }),
    ).toThrow(ShapeError);
  });
});
