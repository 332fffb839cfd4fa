/** Dynamic linear layers of ONNX files: one integer operator, the same bits, and out again as they came. */

import { describe, expect, test } from "vitest";
import { openSession } from "../../../examples/lib/onnxruntime.ts";
import { compile, lower } from "../../../src/compile/index.ts";
import { exportOnnx, importOnnx } from "../../../src/onnx/index.ts";
import { decodeMessage } from "../../../src/onnx/schema.ts";
import { fromArray, randn, zeros } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import { rint } from "../../../src/tensor/rounding.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { model, node } from "../../onnx/models.ts";

const [DEPTH, CHANNELS] = [20, 7];
const generator = new Generator(4);

interface Layer {
  readonly weight: Tensor;
  readonly zeroPoints: Tensor;
  readonly scales: Tensor;
  readonly bias: Tensor | null;
}

/** As onnxruntime's quantize_dynamic writes a layer. */
function file({ weight, zeroPoints, scales, bias }: Layer): Uint8Array {
  return model({
    inputs: { x: ["N", DEPTH] },
    constants: { w: weight, wz: zeroPoints, ws: scales, ...(bias && { b: bias }) },
    nodes: [
      node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
      node("MatMulInteger", ["q", "w", "z", "wz"], ["sums"]),
      node("Cast", ["sums"], ["real"], { to: 1 }),
      node("Mul", ["s", "ws"], ["scale"]),
      node("Mul", ["real", "scale"], [bias ? "product" : "y"]),
      ...(bias ? [node("Add", ["product", "b"], ["y"])] : []),
    ],
    outputs: ["y"],
  });
}

const bytes = (shape: readonly number[], dtype: "int8" | "uint8"): Tensor =>
  fromArray(
    Array.from(
      randn(shape, { generator }).data,
      (v) => Math.max(-128, Math.min(127, rint(v * 40))) + (dtype === "uint8" ? 128 : 0),
    ),
    shape,
    dtype,
  );
const scales = Float32Array.from({ length: CHANNELS }, (_, i) => 0.01 + i / 500);
const bias = randn([CHANNELS], { generator });

const layers: Readonly<Record<string, Layer>> = {
  "signed bytes, one scale": {
    weight: bytes([DEPTH, CHANNELS], "int8"),
    zeroPoints: fromArray([0], [], "int8"),
    scales: fromArray([0.02], []),
    bias,
  },
  "signed bytes, a scale a column, no bias": {
    weight: bytes([DEPTH, CHANNELS], "int8"),
    zeroPoints: zeros([CHANNELS], { dtype: "int8" }),
    scales: fromArray(scales, [CHANNELS]),
    bias: null,
  },
  "unsigned bytes, a zero point a column": {
    weight: bytes([DEPTH, CHANNELS], "uint8"),
    zeroPoints: fromArray(
      Array.from({ length: CHANNELS }, (_, i) => 120 + i),
      [CHANNELS],
      "uint8",
    ),
    scales: fromArray(scales, [CHANNELS]),
    bias,
  },
};

describe.each(Object.entries(layers))("%s", (_, layer) => {
  const written = file(layer);
  const module = importOnnx(written);
  const x = randn([5, DEPTH], { generator });

  test("becomes one operator, whose bits are the file's", () => {
    const operators = lower(module).graph.nodes.filter(({ kind }) => kind === "operator");
    expect(operators.map(({ target }) => target)).toEqual(["decomposedLinearDynamic"]);
    const executable = compile(module);
    for (const input of [x, zeros([2, DEPTH])])
      expect(Array.from(executable.runOne(input).data)).toEqual(Array.from(module.run(input).data));
    executable.dispose();
  });

  test("is written as it was read, and onnxruntime computes the same", async () => {
    const again = exportOnnx(module);
    const types = decodeMessage("ModelProto", again).graph!.node.map(({ opType }) => opType);
    expect(types).toEqual(expect.arrayContaining(["DynamicQuantizeLinear", "MatMulInteger"]));
    const y = module.run(x);
    for (const bytes of [written, again]) {
      const [theirs] = await (await openSession(bytes))(x);
      expect(theirs).toHaveLength(y.numel);
      expect(Math.max(...Array.from(y.data, (v, i) => Math.abs(v - theirs![i]!)))).toBeLessThan(1e-5);
    }
  });
});
