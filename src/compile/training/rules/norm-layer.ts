/**
 * What belongs to one batch normalization in a training graph, found before anything of it is lowered:
 *
 *     source -> [/ factor] -> batchNorm -> [+ residual] -> [relu] -> [observe and fake-quantize]
 *     gradient of the last -> [straight-through] -> [gate] -> normGrad -> [/ factor], gradient of the factor
 *
 * The division is how a convolution with a folded, fake-quantized weight is scaled back (nn/intrinsic/qat/conv-bn.ts). What
 * stands in brackets is taken into the passes of the normalization itself where nothing else reads what lies between.
 */

import { Value } from "../../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../../graph/graph.ts";
import type { FusedAttrs } from "../../../ops/quantize/fused.ts";
import { sameShape } from "../../../tensor/shape.ts";
import { clampOf, unlimited } from "../../steps/clamps.ts";
import type { Range } from "../../steps/clamps.ts";

export interface NormLayer {
  /** What is normalized, before the division. */
  readonly source: Value;
  readonly factor: Value | null;
  /** What is added to the normalization, computed before it; then no fake-quantize is taken in. */
  readonly residual: Value | null;
  /** The activation taken in, and the value behind it (the normalization's own without one). */
  readonly range: Range;
  readonly output: Value;
  /** The fake-quantize taken in: then `output` is never made. */
  readonly rounding: Node | null;
  readonly gradient: NormGradient | null;
  /** Nodes that have nothing left to do. */
  readonly absorbed: readonly Node[];
}

/** The backward half. */
export interface NormGradient {
  readonly node: Node;
  /** The gradient that arrives, before the masks below. */
  readonly incoming: Value;
  /** Gate of the activation: open interval; null when it is not taken in. */
  readonly gate: Range | null;
  /** Whether the straight-through mask of `rounding`, or of a fake-quantize that is lowered by itself, is taken in. */
  readonly mask: Node | null;
  /** Where the gradient of the source, and of the factor, go. */
  readonly output: Value;
  readonly factor: Value | null;
}

/** The only other readers of a value than those given, or none. */
function isReadOnlyBy(graph: Graph, value: Value, readers: readonly (Node | null | undefined)[]): boolean {
  const isResult = graph.outputs.includes(value) || [...graph.updates.values()].includes(value);
  return !isResult && value.users.every((user) => readers.includes(user));
}

function onlyUser(value: Value | undefined, target: string): Node | null {
  return value?.users.length === 1 && value.users[0]!.target === target ? value.users[0]! : null;
}

/** The nodes that give the factor's gradient: sum(-(dz z) / factor). */
function factorGradient(dz: Value, z: Value, factor: Argument): { result: Value; nodes: readonly Node[] } | null {
  const product = dz.users.find(({ target, args }) => target === "mul" && args.includes(z));
  const quotient = onlyUser(product?.outputs[0], "div");
  const negative = quotient?.args[1] === factor ? onlyUser(quotient.outputs[0], "neg") : null;
  const total = onlyUser(negative?.outputs[0], "sum");
  const axes = z.type!.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  if (!product || !quotient || !negative || !total) return null;
  if (!sameShape(total.attrs["dim"] as readonly number[], axes)) return null;
  return { result: total.outputs[0]!, nodes: [product, quotient, negative, total] };
}

/** The division before a normalization and what it leaves behind in the backward pass. */
interface Scaling {
  readonly source: Value;
  readonly factor: Value;
  readonly output: Value | null;
  readonly factorOutput: Value | null;
  readonly nodes: readonly Node[];
}

function scalingOf(graph: Graph, x: Value, norm: Node, gradient: Node | null): Scaling | null {
  const { node } = x;
  const [source, factor] = node.args;
  if (node.target !== "div" || !(source instanceof Value) || !(factor instanceof Value)) return null;
  const perChannel = [1, x.type!.shape[1]!, ...x.type!.shape.slice(2).map(() => 1)];
  if (!sameShape(factor.type?.shape ?? [], perChannel)) return null;
  const plain = { source, factor, output: null, factorOutput: null, nodes: [node] };
  if (!gradient) return isReadOnlyBy(graph, x, [norm]) ? plain : null;
  const dz = gradient.outputs[0]!;
  const back = dz.users.find(({ target, args }) => target === "div" && args[0] === dz && args[1] === factor);
  const given = factorGradient(dz, x, factor);
  if (!back || !isReadOnlyBy(graph, dz, [back, given?.nodes[0]])) return null;
  if (!isReadOnlyBy(graph, x, [norm, gradient, given?.nodes[0]])) return null;
  const nodes = [node, back, ...(given?.nodes ?? [])];
  return { source, factor, output: back.outputs[0]!, factorOutput: given?.result ?? null, nodes };
}

/** Follows the gradient that reaches `gradient` back through masks that nothing else reads. */
function masksOf(
  graph: Graph,
  gradient: Node,
  behind: readonly Value[],
): { incoming: Value; gate: Node | null; mask: Node | null } {
  let incoming = gradient.args[0] as Value;
  let gate: Node | null = null;
  let mask: Node | null = null;
  let reader = gradient;
  for (;;) {
    const { node } = incoming;
    const about = node.args[1];
    const known = about instanceof Value && behind.includes(about) && isReadOnlyBy(graph, incoming, [reader]);
    if (known && node.target === "gate" && !gate && !mask) gate = node;
    else if (known && node.target === "fakeQuantizeGradient" && !mask && node.attrs["axis"] === null) mask = node;
    else return { incoming, gate, mask };
    incoming = node.args[0] as Value;
    reader = node;
  }
}

/** The fake-quantize of a value whose parameters a mask needs. */
function isMaskOf(mask: Node | null, rounding: Node | undefined): boolean {
  return !mask || (rounding !== undefined && mask.args[2] === rounding.outputs[3]);
}

/** A fake-quantize that can be taken in: whole tensor, rounding, and its state stored. */
function isPlainRounding(node: Node): boolean {
  const attrs = node.attrs as FusedAttrs;
  const isStored = node.args.slice(1).every((arg) => arg instanceof Value && arg.node.kind === "attribute");
  return attrs.axis === null && attrs.fakeQuantOn && isStored;
}

const ROUNDING = "fusedMovingAvgObsFakeQuant";

/** Everything around a batchNorm node. */
export function normLayerOf(graph: Graph, norm: Node): NormLayer {
  const x = norm.args[0] as Value;
  const isTraining = norm.attrs["training"] === true;
  const gradient = x.users.find(({ target, args }) => target === "normGrad" && args[1] === x) ?? null;
  const hasOwnStatistics = gradient?.args[3] === null;
  const usable = gradient && hasOwnStatistics === isTraining ? gradient : null;
  const scaling = gradient === usable && isTraining ? scalingOf(graph, x, norm, usable) : null;
  const own = norm.outputs[0]!;
  const activation = own.users.find((user) => clampOf(user) !== null) ?? null;
  const output = activation?.outputs[0] ?? own;
  const behind = activation ? [own, output] : [own];
  const found = usable ? masksOf(graph, usable, behind) : null;
  const rounding = output.users.find((user) => user.target === ROUNDING && user.args[0] === output);
  const masks = found && isMaskOf(found.mask, rounding) ? found : found && { ...found, ...unmasked(usable!) };
  const masked = [masks?.gate, masks?.mask];
  const isActivationInside = activation !== null && isReadOnlyBy(graph, own, [activation, ...masked]);
  const end = isActivationInside ? output : own;
  const isRoundingInside =
    rounding !== undefined &&
    rounding.args[0] === end &&
    isPlainRounding(rounding) &&
    isReadOnlyBy(graph, end, [rounding, ...masked]);
  const layer: NormLayer = {
    source: scaling?.source ?? x,
    factor: scaling?.factor ?? null,
    residual: null,
    range: isActivationInside ? clampOf(activation)! : unlimited,
    output: end,
    rounding: isRoundingInside ? rounding : null,
    gradient:
      usable && masks
        ? {
            node: usable,
            incoming: masks.incoming,
            gate: masks.gate && gateRange(masks.gate),
            mask: masks.mask,
            output: scaling?.output ?? usable.outputs[0]!,
            factor: scaling?.factorOutput ?? null,
          }
        : null,
    absorbed: [
      ...(isActivationInside ? [activation] : []),
      ...(isRoundingInside ? [rounding] : []),
      ...masked.filter((node): node is Node => node !== null && node !== undefined),
      ...(scaling?.nodes ?? []),
    ],
  };
  const sum = residualOf(graph, norm);
  return sum ? withResidual(graph, layer, sum) : layer;
}

function unmasked(gradient: Node): { incoming: Value; gate: null; mask: null } {
  return { incoming: gradient.args[0] as Value, gate: null, mask: null };
}

/** A sum that alone reads a normalization, of which it is one of two summands; the other is computed earlier. */
function residualOf(graph: Graph, norm: Node): { sum: Node; residual: Value } | null {
  const own = norm.outputs[0]!;
  const sum = onlyUser(own, "add");
  const residual = sum?.args.find((arg): arg is Value => arg instanceof Value && arg !== own);
  if (!sum || !residual || !isReadOnlyBy(graph, own, [sum])) return null;
  const isEarlier = graph.nodes.indexOf(residual.node) < graph.nodes.indexOf(norm);
  const isLike = residual.type?.dtype === "float32" && sameShape(residual.type.shape, own.type!.shape);
  return isEarlier && isLike ? { sum, residual } : null;
}

/** A layer with a residual: what is behind the sum, but for its activation, stays outside. */
function withResidual(graph: Graph, layer: NormLayer, { sum, residual }: { sum: Node; residual: Value }): NormLayer {
  const own = sum.outputs[0]!;
  const activation = own.users.find((user) => clampOf(user) !== null) ?? null;
  const isInside = activation !== null && isReadOnlyBy(graph, own, [activation]);
  return {
    ...layer,
    residual,
    range: isInside ? clampOf(activation)! : unlimited,
    output: isInside ? activation.outputs[0]! : own,
    absorbed: [...layer.absorbed, sum, ...(isInside ? [activation] : [])],
  };
}

function gateRange({ attrs }: Node): Range {
  return { low: attrs["low"] as number, high: (attrs["high"] as number | null) ?? Infinity };
}
