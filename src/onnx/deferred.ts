/**
 * ONNX operators as operators of a graph: `onnx.Reshape`, `com.microsoft.QLinearAdd`, ...
 *
 * They stand for nodes that could not be lowered when the file was read, because the type of their result depends
 * on values, or because there is no operator for them. Running one calls the rule that import would have used.
 */

import { GraphError, OnnxError } from "../errors.ts";
import { defineOp } from "../ops/op.ts";
import type { Attrs, OpInput } from "../ops/op.ts";
import { activeTracer, noGrad, withTracer } from "../tensor/context.ts";
import { scalar } from "../tensor/create.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { attributeMap } from "./attributes.ts";
import { Budget } from "./budget.ts";
import { allRules } from "./rules/index.ts";
import { createMessage } from "./schema.ts";
import { Scope, Unknown, Walker } from "./walk.ts";
import type { Visitor } from "./walk.ts";

/** The operator name of an ONNX node in a graph. */
export function nodeTarget(domain: string, opType: string): string {
  return `${domain === "" ? "onnx" : domain}.${opType}`.replace(/[^\w.:]/g, "_");
}

/** Attributes of such nodes. */
export type KeptAttrs = {
  readonly domain: string;
  readonly opType: string;
  readonly opset: number;
  readonly attributes: Attrs;
  readonly outputs: readonly boolean[];
  readonly captures: readonly string[];
};

const running: Visitor = {
  opaque({ proto }, { reason }) {
    throw new OnnxError(proto.opType, { reason }, "an operator that cannot be run");
  },
  defer({ proto }, deferred) {
    throw new OnnxError(proto.opType, {}, deferred.message);
  },
};

function run(inputs: readonly OpInput[], attrs: KeptAttrs): readonly Tensor[] {
  const { domain, opType, opset, attributes, outputs, captures } = attrs;
  const scope = new Scope(null);
  const given = inputs.length - captures.length;
  const names = inputs.map((input, i) => {
    const name = i < given ? `in ${i}` : captures[i - given]!;
    if (input === null) return "";
    scope.set(name, typeof input === "number" ? scalar(input) : input);
    return name;
  });
  const results = outputs.map((wanted, i) => (wanted ? `out ${i}` : ""));
  const node = createMessage("NodeProto", { opType, domain, input: names.slice(0, given), output: results });
  node.attribute = [...attributeMap(attributes).values()];
  const graph = createMessage("GraphProto", {
    output: results.filter((name) => name !== "").map((name) => ({ name })),
  });
  graph.node = [node];
  const walker = new Walker({
    opsets: new Map([
      ["", opset],
      [domain, opset],
    ]),
    functions: new Map(),
    files: null,
    visitor: running,
    budget: Budget.unlimited(),
  });
  const computed = noGrad(() => withTracer(null, () => walker.graph(graph, scope)));
  let next = 0;
  return results.map((name) => {
    const entry = name === "" ? scalar(0) : computed[next++]!;
    if (entry instanceof Unknown) throw new OnnxError(opType, {}, "gave no value");
    return entry;
  });
}

for (const [domain, rules] of allRules) {
  for (const [opType, rule] of Object.entries(rules)) {
    if (!("since" in rule)) continue;
    const name = nodeTarget(domain, opType);
    defineOp<readonly OpInput[], KeptAttrs>({
      name,
      infer() {
        if (activeTracer())
          throw new GraphError(name, {}, "the type of its result is known only when it runs, so it cannot be captured");
        return [];
      },
      forward: (inputs, attrs) => run(inputs, attrs),
      backward: "the operator came from an ONNX file and is kept as it is",
      isValueDependent: true,
    });
  }
}
