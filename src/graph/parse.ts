/**
 * Reads the text print.ts writes. Stored tensors and modules are not in the text; they are passed in, or left
 * for the caller to fill.
 */

import { GraphError } from "../errors.ts";
import type { AnyModule } from "../nn/module.ts";
import type { Attrs } from "../ops/op.ts";
import { isDType } from "../tensor/dtype.ts";
import { perTensor } from "../tensor/qparams.ts";
import type { QParams } from "../tensor/qparams.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Graph, noSource } from "./graph.ts";
import type { Argument, FixedBatch, NodeSpec, Source, Value, ValueType } from "./graph.ts";
import type { TreeSpec } from "./tree.ts";
import { Words } from "./words.ts";

/** What comes before a graph's name. */
const TITLE = "graph @";

function parseQParams(words: Words): QParams | undefined {
  if (!words.take("<")) return undefined;
  if (!words.take("scale")) {
    const qparams = words.data() as QParams;
    words.expect(">");
    return qparams;
  }
  words.expect("=");
  const scale = Number(words.next());
  for (const word of [",", "zp", "="]) words.expect(word);
  const zeroPoint = Number(words.next());
  words.expect(">");
  return perTensor(scale, zeroPoint);
}

function parseType(words: Words): ValueType {
  if (words.take("?")) return null;
  const dtype = words.next();
  if (!isDType(dtype)) words.fail("a known dtype", 1);
  const shape = words.data();
  if (!Array.isArray(shape)) words.fail("a shape such as [1,3]", 1);
  const qparams = parseQParams(words);
  return qparams ? { dtype, shape, qparams } : { dtype, shape };
}

function parseSource(words: Words): Source {
  if (!words.take("@")) return noSource;
  return { path: words.string(), moduleType: words.string(), location: words.string() };
}

class Parser {
  private readonly graph = new Graph();
  private readonly values = new Map<string, Value>();
  private readonly words: Words;

  constructor(text: string) {
    this.words = new Words(text);
  }

  parse(): Graph {
    const { words } = this;
    while (words.isLineEnd && !words.isAtEnd) words.lineEnd();
    if (words.isAtEnd) throw new GraphError("parse", {}, "the text is empty");
    this.head();
    while (!words.isAtEnd) {
      this.statement();
      words.lineEnd();
    }
    return this.graph;
  }

  private head(): void {
    const { words } = this;
    const title = words.next();
    if (!title.startsWith(TITLE)) words.fail("graph @name(inputs) {", 1);
    this.graph.name = title.slice(TITLE.length);
    words.expect("(");
    words.list(")", () => {
      const name = words.name();
      words.expect(":");
      this.define({ kind: "input", target: name, types: [parseType(words)] }, [name]);
    });
    words.expect("{");
    words.lineEnd();
  }

  private statement(): void {
    const { graph, words } = this;
    if (words.word.startsWith("%")) this.node();
    else if (words.take("takes")) graph.inputTree = words.data() as TreeSpec;
    else if (words.take("gives")) graph.outputTree = words.data() as TreeSpec;
    else if (words.take("fixedBatch")) graph.fixedBatch = words.data() as FixedBatch;
    else if (words.take("return")) graph.outputs = words.isLineEnd ? [] : words.items(() => this.argument());
    else if (words.take("update")) this.update();
    else words.take("}");
  }

  private update(): void {
    const name = this.words.string();
    this.words.expect("=");
    this.graph.updates.set(name, this.argument());
  }

  private node(): void {
    const { words } = this;
    const names = words.items(() => words.name());
    words.expect("=");
    const kind = words.take("attribute") ? "attribute" : words.take("module") ? "module" : "operator";
    const target = kind === "operator" ? words.next() : words.string();
    const args = kind !== "attribute" && words.take("(") ? words.list(")", () => this.argument()) : [];
    const attrs = words.take("{") ? this.attrs() : {};
    words.expect(":");
    const types = words.items(() => parseType(words));
    if (types.length !== names.length) words.fail(`${names.length} types`);
    this.define({ kind, target, args, attrs, types, source: parseSource(words) }, names);
  }

  private attrs(): Attrs {
    const { words } = this;
    const attrs: Record<string, Attrs[string]> = {};
    words.list("}", () => {
      const name = words.next();
      words.expect("=");
      attrs[name] = words.data() as Attrs[string];
    });
    return attrs;
  }

  private argument(): Argument {
    const { words } = this;
    if (!words.word.startsWith("%")) return words.data() as number | null;
    return this.values.get(words.name()) ?? words.fail("a value that was defined before", 1);
  }

  private define(spec: NodeSpec, names: readonly string[]): void {
    const node = this.graph.insert({ ...spec, name: names[0]! });
    names.forEach((name, i) => {
      this.graph.rename(node.outputs[i]!, name);
      this.values.set(name, node.outputs[i]!);
    });
  }
}

/**
 * The graph a text describes.
 * @throws GraphError naming line and column.
 */
export function parseGraph(
  text: string,
  attributes: Iterable<readonly [string, Tensor]> = [],
  modules: Iterable<readonly [string, AnyModule]> = [],
): Graph {
  const graph = new Parser(text).parse();
  for (const [name, tensor] of attributes) graph.attributes.set(name, tensor);
  for (const [name, module] of modules) graph.modules.set(name, module);
  return graph;
}
