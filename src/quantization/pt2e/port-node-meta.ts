/**
 * Gives quantize and dequantize nodes the source (module path and line) of the node they were put there for, so that a
 * partition by modules keeps a layer's integers together with it.
 *
 * A dequantize belongs to its reader, and so does what chooses a dynamic pair's parameters. A quantize belongs to the
 * node whose output it stores when that node's output was annotated, else to the reader of its dequantize.
 * Source: torchao/quantization/pt2e/quantizer/port_metadata_pass.py.
 */

import type { Node } from "../../graph/graph.ts";
import type { Pass } from "../../graph/rewrite.ts";
import { annotationOf } from "./annotation.ts";

const DEQUANTIZE = /^(decomposedDequantize|dequantize)/;
const QUANTIZE = /^(decomposedQuantize|quantizePer|decomposedChooseQParams)/;

/** The annotated node that asked for the value, when there is exactly one reader. */
function readerOf(node: Node): Node | null {
  const [reader, ...others] = node.users;
  return reader && others.length === 0 && annotationOf(reader) ? reader : null;
}

function ownerOfQuantize(node: Node): Node | null {
  const producer = node.inputs[0]?.node;
  if (producer && annotationOf(producer)?.outputQspec) return producer;
  const [pair] = node.users.filter(({ target }) => DEQUANTIZE.test(target));
  return pair ? readerOf(pair) : null;
}

/** Run it after `DuplicateDQPass`, which gives every reader a dequantize of its own. */
export const PortNodeMetaForQDQ: Pass = {
  name: "port-node-meta-for-qdq",
  run(graph) {
    for (const node of graph.nodes) {
      if (node.kind !== "operator") continue;
      const owner = DEQUANTIZE.test(node.target)
        ? readerOf(node)
        : QUANTIZE.test(node.target)
          ? ownerOfQuantize(node)
          : null;
      if (owner) node.source = owner.source;
    }
  },
};
