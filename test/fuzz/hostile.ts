/**
 * Files made to hurt: a few hundred bytes that would take all memory or time if an importer believed them. Each is
 * generated with random sizes.
 */

import { createMessage, decodeMessage, encodeMessage } from "../../src/onnx/schema.ts";
import type { ModelProto } from "../../src/onnx/schema.ts";
import { fromArray } from "../../src/tensor/create.ts";
import { model, node } from "../onnx/models.ts";
import type { Choices } from "./random.ts";

const int = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  fromArray(values, shape, "int64");

/** x becomes x x, again and again. */
function doubling(choices: Choices): Uint8Array {
  const steps = 20 + choices.below(40);
  const nodes = Array.from({ length: steps }, (_, i) => {
    const [a, y] = [`x${i}`, `x${i + 1}`];
    switch (choices.below(4)) {
      case 0:
        return node("Concat", [a, a], [y], { axis: 0 });
      case 1:
        return node("Tile", [a, "two"], [y]);
      case 2:
        return node("Resize", [a, "", "twice"], [y]);
      default:
        return node("Pad", [a, "much"], [y]);
    }
  });
  return model({
    inputs: {},
    nodes,
    constants: {
      x0: fromArray([1, 2], [2]),
      two: int([2]),
      twice: fromArray([2], [1]),
      much: int([1000, 1000]),
    },
    outputs: [`x${steps}`],
  });
}

/** Many large constants. */
function constants(choices: Choices): Uint8Array {
  const size = 2 ** (18 + choices.below(14));
  const count = 1 + choices.below(200);
  const makers = ["ConstantOfShape", "Expand", "Range"] as const;
  const nodes = Array.from({ length: count }, (_, i) => {
    const maker = choices.of(makers);
    if (maker === "ConstantOfShape") return node(maker, ["shape"], [`y${i}`]);
    if (maker === "Expand") return node(maker, ["one", "shape"], [`y${i}`]);
    return node(maker, ["zero", "many", "unit"], [`y${i}`]);
  });
  return model({
    inputs: {},
    nodes: [...nodes, node("Sum", nodes.map(({ output }) => output[0]!), ["sum"])], // prettier-ignore
    constants: {
      shape: int([size]),
      one: fromArray([1], [1]),
      zero: int([0], []),
      many: int([size], []),
      unit: int([1], []),
    },
    outputs: ["sum"],
  });
}

/** Products of constants that take long. */
function products(choices: Choices): Uint8Array {
  const n = 2 ** (8 + choices.below(6));
  const product = choices.of(["MatMul", "Gemm", "Einsum"]);
  const attributes: Record<string, string> = product === "Einsum" ? { equation: "ij,jk->ik" } : {};
  return model({
    inputs: {},
    nodes: [
      node("ConstantOfShape", ["shape"], ["a"]),
      ...Array.from({ length: 12 }, (_, i) => node(product, [i === 0 ? "a" : `p${i}`, "a"], [`p${i + 1}`], attributes)),
    ],
    constants: { shape: int([n, n]) },
    outputs: ["p12"],
  });
}

/** Loops in loops. */
function loops(choices: Choices): Uint8Array {
  const trips = choices.of([10, 1000, 65536, 2 ** 31, 2 ** 53]);
  let body = model({
    inputs: { i: [], go: [], s: [1] },
    types: { i: "int64", go: "bool" },
    nodes: [node("Add", ["s", "s"], ["t"]), node("Identity", ["go"], ["on"])],
    outputs: ["on", "t"],
  });
  for (let depth = choices.below(5); depth > 0; depth--) {
    body = model({
      inputs: { i: [], go: [], s: [1] },
      types: { i: "int64", go: "bool" },
      nodes: [node("Loop", ["trips", "go", "s"], ["t"], { body }), node("Identity", ["go"], ["on"])],
      outputs: ["on", "t"],
    });
  }
  return model({
    inputs: choices.once(2) ? { start: [1] } : {},
    nodes: [node("Loop", ["trips", "yes", "start"], ["y"], { body })],
    constants: { trips: int([trips], []), yes: fromArray([1], [], "bool"), start: fromArray([1], [1]) },
    outputs: ["y"],
  });
}

/** Functions that call the one before twice: 2^n nodes. */
function functions(choices: Choices): Uint8Array {
  const bytes = model({
    inputs: { x: [4] },
    nodes: [node("f0", ["x"], ["y"], {}, "mine")],
    outputs: ["y"],
  });
  const message: ModelProto = decodeMessage("ModelProto", bytes);
  const depth = 10 + choices.below(60);
  const cyclic = choices.once(3);
  message.functions = Array.from({ length: depth }, (_, i) => {
    const last = i === depth - 1;
    const callee = last && !cyclic ? "Relu" : `f${last ? 0 : i + 1}`;
    const domain = last && !cyclic ? "" : "mine";
    const body = createMessage("FunctionProto", { name: `f${i}`, domain: "mine", input: ["a"], output: ["c"] });
    body.node = [node(callee, ["a"], ["b"], {}, domain), node(callee, ["b"], ["c"], {}, domain)];
    body.opsetImport = [createMessage("OperatorSetIdProto", { domain: "", version: 17n })];
    return body;
  });
  return encodeMessage("ModelProto", message);
}

/** A message with another one as the last of its fields: any depth, without recursion. */
function withField(message: Uint8Array, field: number, inner: Uint8Array): Uint8Array {
  const head = [field * 8 + 2];
  let rest = inner.length;
  for (; rest > 127; rest = Math.floor(rest / 128)) head.push((rest % 128) + 128);
  head.push(rest);
  const out = new Uint8Array(message.length + head.length + inner.length);
  out.set(message);
  out.set(head, message.length);
  out.set(inner, message.length + head.length);
  return out;
}

/** A model with as many Ifs in one another. */
export function nested(depth: number): Uint8Array {
  const graph = encodeMessage("GraphProto", createMessage("GraphProto", { name: "g", output: [{ name: "y" }] }));
  const branches = ["then_branch", "else_branch"].map((name) =>
    encodeMessage("AttributeProto", createMessage("AttributeProto", { name, type: 5 })),
  );
  // Both branches double the file with every level.
  const used = depth > 20 ? branches.slice(0, 1) : branches;
  const outer = encodeMessage("NodeProto", node("If", ["yes"], ["y"]));
  let inner = encodeMessage("NodeProto", node("Relu", ["x"], ["y"]));
  for (let i = 0; i < depth; i++) {
    const body = withField(graph, 1, inner);
    inner = used.reduce((made, branch) => withField(made, 5, withField(branch, 6, body)), outer);
  }
  const rest = model({
    inputs: { x: [4] },
    nodes: [],
    constants: { yes: fromArray([1], [], "bool") },
    outputs: ["y"],
  });
  // A message that is there twice is one message: the node joins the graph.
  return withField(rest, 7, withField(new Uint8Array(), 1, inner));
}

/** Subgraphs in subgraphs. */
function nesting(choices: Choices): Uint8Array {
  return nested(choices.of([10, 30, 31, 32, 33, 64, 200, 1000, 2000]));
}

/** Sizes that no machine has, on inputs and weights. */
function declared(choices: Choices): Uint8Array {
  const size = choices.of([2 ** 20, 2 ** 31, 2 ** 40, 2 ** 53 - 1]);
  const kernel = choices.of([1, 3, 2 ** 16, 2 ** 31]);
  return model({
    inputs: { x: [1, size, size, size], w: [size, size, kernel, kernel] },
    nodes: [
      node("Conv", ["x", "w"], ["c"], { kernel_shape: [kernel, kernel], pads: [size, size, size, size] }),
      node("Reshape", ["c", "shape"], ["r"]),
      node("Softmax", ["r"], ["y"]),
    ],
    constants: { shape: int([-1, size]) },
    outputs: ["y"],
  });
}

/** One operator, thousands of times over. */
function long(choices: Choices): Uint8Array {
  const count = 1000 + choices.below(4000);
  const opType = choices.of(["Relu", "Identity", "Neg", "Mystery"]);
  return model({
    inputs: { x0: ["N", 4] },
    nodes: Array.from({ length: count }, (_, i) => node(opType, [`x${i}`], [`x${i + 1}`])),
    outputs: [`x${count}`],
  });
}

const makers = { doubling, constants, products, loops, functions, nesting, declared, long };

export const hostileKinds = Object.keys(makers) as (keyof typeof makers)[];

export function hostile(kind: keyof typeof makers, choices: Choices): Uint8Array {
  return makers[kind](choices);
}
