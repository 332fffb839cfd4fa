/**
 * Quantizers from the data of golden cases: XNNPACK and x86 settings, composed quantizers, and `rules`, whose
 * annotations are listed one node at a time.
 */

import * as observers from "../../../src/quantization/observers/index.ts";
import type { Graph, Node, Value as GraphValue } from "../../../src/graph/index.ts";
import {
  ComposableQuantizer,
  DerivedQuantizationSpec,
  EmbeddingQuantizer,
  FixedQParamsQuantizationSpec,
  QuantizationAnnotation,
  QuantizationSpec,
  Quantizer,
  SharedQuantizationSpec,
  X86Quantizer,
  XnnpackQuantizer,
  annotate,
  getDefaultX86QuantizationConfig,
  getSymmetricQuantizationConfig,
} from "../../../src/quantization/pt2e/index.ts";
import type { QSpec, QuantizationConfig } from "../../../src/quantization/pt2e/index.ts";
import { mul } from "../../../src/ops/index.ts";
import { zeros } from "../../../src/tensor/create.ts";
import type { DType } from "../../../src/tensor/dtype.ts";
import type { QScheme } from "../../../src/tensor/qparams.ts";
import type { FactoryLike } from "../../../src/quantization/factory.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Value } from "../load.ts";

type Data = { readonly [key: string]: unknown };
type Setting = readonly [name: string, config: Data | null];

/** `nn.Linear` → `Linear`, `torch.matmul` → `matmul`. */
const shortName = (name: string): string => name.split(".").at(-1)!;
const settings = (spec: Data, key: string): readonly Setting[] => (spec[key] as readonly Setting[] | undefined) ?? [];

function xnnpack(spec: Data): Quantizer {
  const quantizer = new XnnpackQuantizer();
  const config = (data: Data | null): QuantizationConfig => (data === null ? null : getSymmetricQuantizationConfig(data)) as QuantizationConfig;
  if (spec["global"]) quantizer.setGlobal(config(spec["global"] as Data));
  for (const [name, data] of settings(spec, "moduleName")) quantizer.setModuleName(name, config(data));
  for (const [type, data] of settings(spec, "moduleType")) quantizer.setModuleType(shortName(type), config(data));
  return quantizer;
}

function x86(spec: Data): Quantizer {
  const quantizer = new X86Quantizer();
  const config = (data: Data | null): QuantizationConfig | null => data && getDefaultX86QuantizationConfig(data);
  if (spec["global"]) quantizer.setGlobal(config(spec["global"] as Data)!);
  for (const [name, data] of settings(spec, "moduleName")) quantizer.setModuleName(name, config(data));
  for (const [type, data] of settings(spec, "moduleType")) quantizer.setModuleType(shortName(type), config(data));
  for (const [type, data] of settings(spec, "functionType")) quantizer.setFunctionType(shortName(type), config(data));
  return quantizer;
}

interface Rule {
  readonly op: string;
  readonly nth: number;
  readonly inputs: readonly (readonly [number, Data])[];
  readonly output: Data | null;
  readonly allowImplicitSharing?: boolean;
}

interface At {
  readonly op: string;
  readonly nth: number;
  readonly arg?: number;
}

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function find(graph: Graph, { op, nth }: At): Node {
  return graph.nodes.filter(({ target }) => target === camel(op))[nth]!;
}

const inputsOf = (node: Node): GraphValue[] => [...new Set(node.inputs)];

function place(graph: Graph, at: At): GraphValue | readonly [GraphValue, Node] {
  const node = find(graph, at);
  return at.arg === undefined ? node.outputs[0]! : [inputsOf(node)[at.arg]!, node];
}

/** The bias of an integer layer: activation scale times weight scale, zero point 0. */
function productOfScales(sources: readonly observers.ObserverBase[]): { scale: Tensor; zeroPoint: Tensor } {
  const [x, weight] = sources.map((source) => source.calculateQParams().scale);
  const scale = mul(x!, weight!);
  return { scale, zeroPoint: zeros(scale.shape, { dtype: "int32" }) };
}

function specOf(graph: Graph, data: Data): QSpec {
  if (data["kind"] === "shared") return new SharedQuantizationSpec(place(graph, data["with"] as At));
  const common = {
    dtype: data["dtype"] as DType,
    quantMin: data["quantMin"] as number,
    quantMax: data["quantMax"] as number,
    qscheme: data["qscheme"] as QScheme,
  };
  if (data["kind"] === "fixed") return new FixedQParamsQuantizationSpec({ ...common, scale: data["scale"] as number, zeroPoint: data["zeroPoint"] as number });
  const chAxis = (data["chAxis"] as number | undefined) ?? null;
  if (data["kind"] === "derived") {
    const derivedFrom = (data["from"] as readonly At[]).map((at) => place(graph, at));
    return new DerivedQuantizationSpec({ ...common, chAxis, derivedFrom, deriveQParamsFn: productOfScales });
  }
  const classes = observers as unknown as Readonly<Record<string, { withArgs(args: object): FactoryLike }>>;
  const observer = classes[data["observer"] as string]!.withArgs({ eps: data["eps"] });
  return new QuantizationSpec({ ...common, chAxis, observerOrFakeQuantCtr: observer });
}

class RulesQuantizer extends Quantizer {
  private readonly rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    super();
    this.rules = rules;
  }

  override annotate(graph: Graph): void {
    for (const rule of this.rules) {
      const node = find(graph, rule);
      const inputQspecMap = new Map(rule.inputs.map(([k, data]) => [inputsOf(node)[k]!, specOf(graph, data)]));
      const outputQspec = rule.output && specOf(graph, rule.output);
      annotate(node, new QuantizationAnnotation({ inputQspecMap, outputQspec, allowImplicitSharing: rule.allowImplicitSharing ?? true }));
    }
  }
}

/** The quantizer a case describes. */
export function makeQuantizer(recipe: Value | undefined): Quantizer {
  const spec = recipe as unknown as Data;
  const kind = spec["kind"];
  if (kind === "xnnpack") return xnnpack(spec);
  if (kind === "x86") return x86(spec);
  if (kind === "embedding") return new EmbeddingQuantizer();
  if (kind === "composable") return new ComposableQuantizer((spec["quantizers"] as readonly Value[]).map(makeQuantizer));
  return new RulesQuantizer(spec["rules"] as readonly Rule[]);
}
