/**
 * How a sequence of layers becomes one fused layer. Source: torch/ao/quantization/fuser_method_mappings.py.
 *
 * For inference batch normalization is folded into the weights; for training the layers are put side by side in a
 * container, which prepareQat turns into one layer.
 */

import { QuantError } from "../../errors.ts";
import * as nn from "../../nn/index.ts";
import type { BatchNorm } from "../../nn/batch-norm.ts";
import type { ConvNd } from "../../nn/conv.ts";
import type { ConvTransposeNd } from "../../nn/conv-transpose.ts";
import { fuseConvBnEval, fuseLinearBnEval } from "../../nn/fusion.ts";
import * as nni from "../../nn/intrinsic/index.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { ModuleClass } from "./types.ts";

/** Makes one module of several; `isQat` tells fusing for training from fusing for inference. */
export type FuserMethod = (isQat: boolean, ...modules: never[]) => AnyModule;

/** A sequence of classes and how it is fused. */
export type FuserMapping = readonly (readonly [sequence: readonly ModuleClass[], method: FuserMethod])[];

type Pair = new (a: never, b: never) => AnyModule;
type Triple = new (a: never, b: never, c: never) => AnyModule;

const convBn: ReadonlyMap<ModuleClass, Pair> = new Map<ModuleClass, Pair>([
  [nn.Conv1d, nni.ConvBn1d],
  [nn.Conv2d, nni.ConvBn2d],
  [nn.Conv3d, nni.ConvBn3d],
]);
const convBnRelu: ReadonlyMap<ModuleClass, Triple> = new Map<ModuleClass, Triple>([
  [nn.Conv1d, nni.ConvBnReLU1d],
  [nn.Conv2d, nni.ConvBnReLU2d],
  [nn.Conv3d, nni.ConvBnReLU3d],
]);
const convRelu: ReadonlyMap<ModuleClass, Pair> = new Map<ModuleClass, Pair>([
  [nn.Conv1d, nni.ConvReLU1d],
  [nn.Conv2d, nni.ConvReLU2d],
  [nn.Conv3d, nni.ConvReLU3d],
]);

function requireSameMode(where: string, ...modules: readonly AnyModule[]): void {
  if (modules.every((module) => module.training === modules[0]!.training)) return;
  const modes = modules.map((module) => `${module.constructor.name}: ${module.training ? "train" : "eval"}`);
  throw new QuantError(where, { modes }, "all layers of a sequence must be in the same mode");
}

function requireTrainable(where: string, channels: number, bn: BatchNorm): void {
  const rule =
    bn.numFeatures !== channels ? "numFeatures must be the layer's output channels"
    : !bn.affine ? "batch normalization must be affine to be trained fused"
    : !bn.trackRunningStats ? "batch normalization must track running statistics to be trained fused"
    : null; // prettier-ignore
  if (rule) throw new QuantError(where, { numFeatures: bn.numFeatures, channels }, rule);
}

function containerOf<C>(where: string, table: ReadonlyMap<ModuleClass, C>, conv: AnyModule): C {
  const found = table.get(conv.constructor as unknown as ModuleClass);
  if (!found)
    throw new QuantError(where, { class: conv.constructor.name }, "the convolution must be a Conv1d, Conv2d or Conv3d");
  return found;
}

/** Convolution and batch normalization: folded, or ConvBn for training. @throws QuantError */
export function fuseConvBn(isQat: boolean, conv: ConvNd, bn: BatchNorm): AnyModule {
  requireSameMode("fuseConvBn", conv, bn);
  if (!isQat) return fuseConvBnEval(conv, bn);
  requireTrainable("fuseConvBn", conv.outChannels, bn);
  return new (containerOf("fuseConvBn", convBn, conv))(conv as never, bn as never);
}

/** Convolution, batch normalization and ReLU: ConvReLU of the folded layer, or ConvBnReLU for training. @throws QuantError */
export function fuseConvBnRelu(isQat: boolean, conv: ConvNd, bn: BatchNorm, relu: AnyModule): AnyModule {
  requireSameMode("fuseConvBnRelu", conv, bn, relu);
  if (!isQat)
    return new (containerOf("fuseConvBnRelu", convRelu, conv))(fuseConvBnEval(conv, bn) as never, relu as never);
  requireTrainable("fuseConvBnRelu", conv.outChannels, bn);
  return new (containerOf("fuseConvBnRelu", convBnRelu, conv))(conv as never, bn as never, relu as never);
}

/** Linear and batch normalization: folded, or LinearBn1d for training. @throws QuantError */
export function fuseLinearBn(isQat: boolean, linear: nn.Linear, bn: nn.BatchNorm1d): AnyModule {
  requireSameMode("fuseLinearBn", linear, bn);
  if (!isQat) return fuseLinearBnEval(linear, bn);
  requireTrainable("fuseLinearBn", linear.outFeatures, bn);
  return new nni.LinearBn1d(linear, bn);
}

/** Transposed convolution and batch normalization, folded. @throws QuantError for training. */
export function fuseConvtransposeBn(isQat: boolean, conv: ConvTransposeNd, bn: BatchNorm): AnyModule {
  requireSameMode("fuseConvtransposeBn", conv, bn);
  if (isQat)
    throw new QuantError(
      "fuseConvtransposeBn",
      {},
      "a transposed convolution cannot be trained fused with batch normalization",
    );
  return fuseConvBnEval(conv, bn);
}

/** Puts two layers side by side, for inference and training alike. */
function sideBySide(container: Pair): FuserMethod {
  return (_isQat, first, second) => new container(first, second);
}

const rows: FuserMapping = [
  [[nn.Conv1d, nn.BatchNorm1d], fuseConvBn],
  [[nn.Conv1d, nn.BatchNorm1d, nn.ReLU], fuseConvBnRelu],
  [[nn.Conv2d, nn.BatchNorm2d], fuseConvBn],
  [[nn.Conv2d, nn.BatchNorm2d, nn.ReLU], fuseConvBnRelu],
  [[nn.Conv3d, nn.BatchNorm3d], fuseConvBn],
  [[nn.Conv3d, nn.BatchNorm3d, nn.ReLU], fuseConvBnRelu],
  [[nn.Conv1d, nn.ReLU], sideBySide(nni.ConvReLU1d)],
  [[nn.Conv2d, nn.ReLU], sideBySide(nni.ConvReLU2d)],
  [[nn.Conv3d, nn.ReLU], sideBySide(nni.ConvReLU3d)],
  [[nn.Linear, nn.BatchNorm1d], fuseLinearBn],
  [[nn.Linear, nn.ReLU], sideBySide(nni.LinearReLU)],
  [[nn.BatchNorm2d, nn.ReLU], sideBySide(nni.BNReLU2d)],
  [[nn.BatchNorm3d, nn.ReLU], sideBySide(nni.BNReLU3d)],
  [[nn.ConvTranspose1d, nn.BatchNorm1d], fuseConvtransposeBn],
  [[nn.ConvTranspose2d, nn.BatchNorm2d], fuseConvtransposeBn],
  [[nn.ConvTranspose3d, nn.BatchNorm3d], fuseConvtransposeBn],
];

function sameSequence(a: readonly ModuleClass[], b: readonly ModuleClass[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

/** The method that fuses a sequence of classes; additional rows win. @throws QuantError naming what can be fused. */
export function getFuserMethod(sequence: readonly ModuleClass[], additional: FuserMapping = []): FuserMethod {
  const found = [...additional, ...rows].find(([classes]) => sameSequence(classes, sequence));
  if (found) return found[1];
  const names = (classes: readonly ModuleClass[]): string => classes.map(({ name }) => name).join(" + ");
  const known = [...additional, ...rows].map(([classes]) => names(classes));
  const near = known.filter((one) => one.startsWith(sequence[0]?.name ?? ""));
  throw new QuantError(
    "fuseModules",
    { sequence: names(sequence) },
    "there is no way to fuse this sequence",
    `Legal sequences${near.length > 0 ? " that start so" : ""}: ${(near.length > 0 ? near : known).join(", ")}`,
  );
}
