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

/** Undoes printData's spelling of numbers JSON lacks. */
function parseData(text: string): unknown {
  if (!text.includes("$")) return JSON.parse(text);
  return JSON.parse(text, (_, item: unknown) => {
    const special = typeof item === "string" && /^\$(-?Infinity|NaN|-0)$/.exec(item);
    return special ? Number(special[1]) : item;
  });
}

/** Patterns as they match at a place, by their source: making one costs more than using it. */
const stickyPatterns = new Map<string, RegExp>();

function sticky({ source }: RegExp): RegExp {
  let pattern = stickyPatterns.get(source);
  if (!pattern) stickyPatterns.set(source, (pattern = new RegExp(source, "y")));
  return pattern;
}

/** Whether a character ends a number or a word. */
function isEnd(c: string): boolean {
  return c === " " || c === "," || c === ")" || c === "}" || c === "]" || c === "\t";
}

/** A cursor over one line. */
class Line {
  readonly text: string;
  readonly number: number;
  private at = 0;

  constructor(text: string, number: number) {
    this.text = text;
    this.number = number;
  }

  fail(wanted: string): never {
    throw new GraphError(
      "parse",
      { line: this.number, column: this.at + 1, text: this.text.trim() },
      `expected ${wanted}`,
    );
  }

  /** Takes what `pattern` matches right here, after blanks. */
  match(pattern: RegExp): RegExpExecArray | null {
    while (this.text[this.at] === " ") this.at++;
    const here = sticky(pattern);
    here.lastIndex = this.at;
    const found = here.exec(this.text);
    if (found) this.at = here.lastIndex;
    return found;
  }

  expect(pattern: RegExp, wanted: string): RegExpExecArray {
    return this.match(pattern) ?? this.fail(wanted);
  }

  /** One JSON value: a number, or found by balancing brackets outside strings. */
  data(): unknown {
    const plain = this.match(/-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?=[ ,)}\]]|$)/);
    if (plain) return Number(plain[0]);
    const start = this.at;
    let depth = 0;
    for (let inString = false; this.at < this.text.length; this.at++) {
      const c = this.text[this.at]!;
      if (inString) {
        if (c === "\\") this.at++;
        else if (c === '"') inString = false;
        continue;
      }
      if (c === '"') inString = true;
      else if (c === "[" || c === "{") depth++;
      else if (depth > 0 && (c === "]" || c === "}")) {
        if (--depth > 0) continue;
        this.at++;
        break;
      } else if (depth === 0 && isEnd(c)) break;
    }
    try {
      return parseData(this.text.slice(start, this.at));
    } catch {
      return this.fail("a JSON value");
    }
  }

  string(): string {
    const value = this.data();
    return typeof value === "string" ? value : this.fail("a string");
  }
}

function parseQParams(line: Line): QParams | undefined {
  if (!line.match(/</)) return undefined;
  const simple = line.match(/scale=([^,]+), zp=([^>]+)>/);
  if (simple) return perTensor(Number(simple[1]), Number(simple[2]));
  const qparams = line.data() as QParams;
  line.expect(/>/, ">");
  return qparams;
}

function parseType(line: Line): ValueType {
  if (line.match(/\?/)) return null;
  const found = line.expect(/(\w+)\[([\d,-]*)\]/, "a type such as float32[1,3]");
  const dtype = found[1]!;
  if (!isDType(dtype)) line.fail("a known dtype");
  const shape = found[2] ? found[2].split(",").map(Number) : [];
  const qparams = parseQParams(line);
  return qparams ? { dtype, shape, qparams } : { dtype, shape };
}

function parseList<T>(line: Line, end: RegExp, item: () => T): T[] {
  const items: T[] = [];
  if (line.match(end)) return items;
  do items.push(item());
  while (line.match(/,/));
  line.expect(end, "the end of the list");
  return items;
}

class Parser {
  private readonly graph = new Graph();
  private readonly values = new Map<string, Value>();

  parse(text: string): Graph {
    const lines = text.split("\n").map((line, i) => new Line(line.replace(/ {2}\/\/[^"]*$/, ""), i + 1));
    const body = lines.filter((line) => line.text.trim() !== "");
    const [head, ...rest] = body;
    if (!head) throw new GraphError("parse", {}, "the text is empty");
    this.head(head);
    for (const line of rest) this.statement(line);
    return this.graph;
  }

  private head(line: Line): void {
    this.graph.name = line.expect(/graph @([^(]*)\(/, "graph @name(inputs) {")[1]!;
    parseList(line, /\) \{/, () => {
      const name = line.expect(/%(\w+):/, "an input")[1]!;
      this.define({ kind: "input", target: name, types: [parseType(line)] }, [name]);
    });
  }

  private statement(line: Line): void {
    const { graph } = this;
    if (line.match(/\}/)) return;
    if (line.match(/takes /)) graph.inputTree = line.data() as TreeSpec;
    else if (line.match(/gives /)) graph.outputTree = line.data() as TreeSpec;
    else if (line.match(/fixedBatch /)) graph.fixedBatch = line.data() as FixedBatch;
    else if (line.match(/return(?=\s|$)/)) graph.outputs = parseList(line, /$/, () => this.argument(line));
    else if (line.match(/update /)) this.update(line);
    else this.node(line);
  }

  private update(line: Line): void {
    const name = line.string();
    line.expect(/=/, "=");
    this.graph.updates.set(name, this.argument(line));
  }

  private node(line: Line): void {
    const names = parseList(line, /=/, () => line.expect(/%(\w+)/, "a value name")[1]!);
    let kind: NodeSpec["kind"] = "operator";
    let target: string;
    if (line.match(/attribute /)) {
      kind = "attribute";
      target = line.string();
    } else if (line.match(/module /)) {
      kind = "module";
      target = line.expect(/"((?:[^"\\]|\\.)*)"/, "a module name")[1]!;
    } else target = line.expect(/[\w.:]+/, "an operator name")[0];
    const args = kind !== "attribute" && line.match(/\(/) ? parseList(line, /\)/, () => this.argument(line)) : [];
    const attrs = line.match(/\{/) ? this.attrs(line) : {};
    line.expect(/:/, ":");
    const types = names.map((_, i) => {
      if (i > 0) line.expect(/,/, ",");
      return parseType(line);
    });
    this.define({ kind, target, args, attrs, types, source: this.source(line) }, names);
  }

  private attrs(line: Line): Attrs {
    return Object.fromEntries(
      parseList(line, /\}/, () => [line.expect(/(\w+)=/, "an attribute")[1]!, line.data()] as const),
    ) as Attrs;
  }

  private source(line: Line): Source {
    if (!line.match(/@/)) return noSource;
    return { path: line.string(), moduleType: line.string(), location: line.string() };
  }

  private argument(line: Line): Argument {
    const name = line.match(/%(\w+)/)?.[1];
    if (name === undefined) return line.data() as number | null;
    return this.values.get(name) ?? line.fail("a value that was defined before");
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
  const graph = new Parser().parse(text);
  for (const [name, tensor] of attributes) graph.attributes.set(name, tensor);
  for (const [name, module] of modules) graph.modules.set(name, module);
  return graph;
}
