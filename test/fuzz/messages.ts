/**
 * Mutations of a model as messages: what is written stays a protobuf file, and so gets deep into the importer: other
 * operators, absurd sizes and attributes, cycles, wrong types, tensors that are missing or elsewhere.
 */

import { decodeMessage, encodeMessage } from "../../src/onnx/schema.ts";
import type { GraphProto, ModelProto, NodeProto } from "../../src/onnx/schema.ts";
import { allRules } from "../../src/onnx/rules/index.ts";
import type { Choices } from "./random.ts";

const operators = [...allRules].flatMap(([domain, rules]) => Object.keys(rules).map((name) => [domain, name] as const));
const sizes = [0n, 1n, 2n, 3n, 7n, 1000n, 65536n, 2n ** 20n, 2n ** 26n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 53n, 2n ** 62n, -1n, -2n]; // prettier-ignore
const locations = ["../../../etc/passwd", "/etc/passwd", "C:\\secret", "a\0b", "", ".", "weights.bin", "./x/../../y"];

function graphsOf(graph: GraphProto): GraphProto[] {
  const inner = graph.node.flatMap(({ attribute }) =>
    attribute.flatMap(({ g, graphs }) => [...(g ? [g] : []), ...graphs]),
  );
  return [graph, ...inner.flatMap(graphsOf)];
}

/** Every name a graph speaks of. */
function namesOf(graph: GraphProto): string[] {
  return [
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ input, output }) => [...input, ...output]),
    "",
  ];
}

type Change = (graph: GraphProto, choices: Choices, model: ModelProto) => void;

function someNode(graph: GraphProto, choices: Choices, change: (node: NodeProto) => void): void {
  if (graph.node.length > 0) change(choices.of(graph.node));
}

const changes: readonly Change[] = [
  function otherOperator(graph, choices) {
    someNode(graph, choices, (node) => ([node.domain, node.opType] = choices.of(operators)));
  },
  function otherInput(graph, choices) {
    someNode(graph, choices, (node) => (node.input[choices.below(node.input.length + 1)] = choices.of(namesOf(graph))));
  },
  function otherOutput(graph, choices) {
    someNode(
      graph,
      choices,
      (node) => (node.output[choices.below(node.output.length + 1)] = choices.of(namesOf(graph))),
    );
  },
  function fewerInputs(graph, choices) {
    someNode(graph, choices, (node) => (node.input = node.input.slice(0, choices.below(node.input.length))));
  },
  function moreInputs(graph, choices) {
    someNode(graph, choices, (node) => (node.input = [...node.input, ...Array.from({ length: choices.below(4) }, () => choices.of(namesOf(graph)))])); // prettier-ignore
  },
  function reorder(graph, choices) {
    if (graph.node.length > 1) graph.node.push(graph.node.splice(choices.below(graph.node.length), 1)[0]!);
  },
  function doubleNode(graph, choices) {
    someNode(graph, choices, (node) => graph.node.push({ ...node, output: node.output.map((name) => `${name}'`) }));
  },
  function attribute(graph, choices) {
    someNode(graph, choices, (node) => {
      if (node.attribute.length === 0) return;
      const found = choices.of(node.attribute);
      if (choices.once(6)) node.attribute = node.attribute.filter((one) => one !== found);
      else if (choices.once(4)) found.type = choices.below(16);
      else if (found.ints.length > 0) found.ints[choices.below(found.ints.length + 1)] = choices.of(sizes);
      else if (found.s.length > 0)
        found.s = new TextEncoder().encode(choices.of(["", "VALID", "SAME_UPPER", "linear", "ij->", "...", "x,y->z"])); // prettier-ignore
      else found.i = choices.of(sizes);
    });
  },
  function inputType(graph, choices) {
    if (graph.input.length === 0) return;
    const tensor = choices.of(graph.input).type?.tensorType;
    if (!tensor) return;
    if (choices.once(3)) tensor.elemType = choices.below(30);
    else if (choices.once(4)) tensor.shape = undefined;
    else if (tensor.shape && tensor.shape.dim.length > 0) {
      const dim = choices.of(tensor.shape.dim);
      if (choices.once(3)) dim.dimParam = "free";
      else dim.dimValue = choices.of(sizes);
    }
  },
  function tensor(graph, choices) {
    if (graph.initializer.length === 0) return;
    const found = choices.of(graph.initializer);
    switch (choices.below(6)) {
      case 0:
        found.dims[choices.below(found.dims.length + 1)] = choices.of(sizes);
        return;
      case 1:
        found.dataType = choices.below(30);
        return;
      case 2:
        found.rawData = found.rawData.slice(0, choices.below(found.rawData.length + 1));
        return;
      case 3:
        found.rawData = Uint8Array.from(found.rawData, () => choices.of([0, 1, 127, 128, 255]));
        return;
      case 4:
        found.int64Data = found.int64Data.map(() => choices.of(sizes));
        return;
      default:
        found.dataLocation = 1;
        found.externalData = [
          { key: "location", value: choices.of(locations) },
          {
            key: choices.of(["offset", "length"]),
            value: choices.of(["-1", "1e9", "NaN", "99999999999999999999", "0"]),
          },
        ] as typeof found.externalData;
    }
  },
  function output(graph, choices) {
    const one = graph.output[choices.below(graph.output.length)];
    if (one) one.name = choices.of(namesOf(graph));
  },
  function opset(_graph, choices, model) {
    const one = model.opsetImport[choices.below(model.opsetImport.length)];
    if (one) one.version = choices.of([0n, 1n, 7n, 10n, 13n, 18n, 25n, 1000n, -1n]);
  },
];

/** One to four changes of a model; null when the bytes are no model. */
export function mutateMessages(bytes: Uint8Array, choices: Choices): Uint8Array | null {
  try {
    const model = decodeMessage("ModelProto", bytes);
    if (!model.graph) return null;
    for (let i = 0; i <= choices.below(4); i++) choices.of(changes)(choices.of(graphsOf(model.graph)), choices, model);
    return encodeMessage("ModelProto", model);
  } catch {
    // A change that cannot be encoded (a hole in a list): this seed gives no file.
    return null;
  }
}
