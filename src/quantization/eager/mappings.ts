/**
 * Which class replaces which: the default swap tables of eager mode, and the lists derived from them.
 * Getters return copies that callers may extend. Source: torch/ao/quantization/quantization_mappings.py.
 */

import { QuantError } from "../../errors.ts";
import * as nn from "../../nn/index.ts";
import * as nni from "../../nn/intrinsic/index.ts";
import * as nniqat from "../../nn/intrinsic/qat/index.ts";
import * as nniqd from "../../nn/intrinsic/quantized/dynamic/index.ts";
import * as nniq from "../../nn/intrinsic/quantized/index.ts";
import * as nnqatd from "../../nn/qat/dynamic/index.ts";
import * as nnqat from "../../nn/qat/index.ts";
import * as quantizable from "../../nn/quantizable/index.ts";
import * as nnqd from "../../nn/quantized/dynamic/index.ts";
import * as nnq from "../../nn/quantized/index.ts";
import * as nnqr from "../../nn/reference/index.ts";
import { eluOp } from "../../ops/activation-smooth.ts";
import { hardswishOp, leakyReluOp } from "../../ops/activation-linear.ts";
import { instanceNormOp } from "../../ops/instance-norm.ts";
import { layerNormOp } from "../../ops/norm.ts";
import type { Op } from "../../ops/op.ts";
import { quantizedEluOp, quantizedHardswishOp, quantizedLeakyReluOp } from "../../ops/quantized/activations.ts";
import { quantizedGroupNormOp, quantizedLayerNormOp } from "../../ops/quantized/norms.ts";
import {
  defaultFixedQParamsRange0to1FakeQuant,
  defaultFixedQParamsRangeNeg1to1FakeQuant,
} from "../fake-quantize/named.ts";
import type { ModuleFactory } from "../factory.ts";
import { DeQuantStub, QuantStub } from "../stubs.ts";
import type { CustomConfig, FromFloat, ModuleClass, ModuleMapping } from "./types.ts";

type Row = readonly [ModuleClass, FromFloat];

const staticTable: readonly Row[] = [
  [QuantStub, nnq.Quantize],
  [DeQuantStub, nnq.DeQuantize],
  [nn.BatchNorm2d, nnq.BatchNorm2d],
  [nn.BatchNorm3d, nnq.BatchNorm3d],
  [nn.Dropout, nnq.Dropout],
  [nn.Conv1d, nnq.Conv1d],
  [nn.Conv2d, nnq.Conv2d],
  [nn.Conv3d, nnq.Conv3d],
  [nn.ConvTranspose1d, nnq.ConvTranspose1d],
  [nn.ConvTranspose2d, nnq.ConvTranspose2d],
  [nn.ConvTranspose3d, nnq.ConvTranspose3d],
  [nn.ELU, nnq.ELU],
  [nn.Embedding, nnq.Embedding],
  [nn.EmbeddingBag, nnq.EmbeddingBag],
  [nn.GroupNorm, nnq.GroupNorm],
  [nn.Hardswish, nnq.Hardswish],
  [nn.InstanceNorm1d, nnq.InstanceNorm1d],
  [nn.InstanceNorm2d, nnq.InstanceNorm2d],
  [nn.InstanceNorm3d, nnq.InstanceNorm3d],
  [nn.LayerNorm, nnq.LayerNorm],
  [nn.LeakyReLU, nnq.LeakyReLU],
  [nn.NonDynamicallyQuantizableLinear, nnq.Linear],
  [nn.Linear, nnq.Linear],
  [nn.ReLU6, nnq.ReLU6],
  [nn.PReLU, nnq.PReLU],
  [nnq.FloatFunctional, nnq.QFunctional],
  [nni.BNReLU2d, nniq.BNReLU2d],
  [nni.BNReLU3d, nniq.BNReLU3d],
  [nni.ConvReLU1d, nniq.ConvReLU1d],
  [nni.ConvReLU2d, nniq.ConvReLU2d],
  [nni.ConvReLU3d, nniq.ConvReLU3d],
  [nni.ConvAdd2d, nniq.ConvAdd2d],
  [nni.ConvAddReLU2d, nniq.ConvAddReLU2d],
  [nni.LinearReLU, nniq.LinearReLU],
  [nni.LinearLeakyReLU, nniq.LinearLeakyReLU],
  [nni.LinearTanh, nniq.LinearTanh],
  [nniqat.ConvBn1d, nnq.Conv1d],
  [nniqat.ConvBn2d, nnq.Conv2d],
  [nniqat.ConvBn3d, nnq.Conv3d],
  [nniqat.ConvBnReLU1d, nniq.ConvReLU1d],
  [nniqat.ConvBnReLU2d, nniq.ConvReLU2d],
  [nniqat.ConvBnReLU3d, nniq.ConvReLU3d],
  [nniqat.ConvReLU2d, nniq.ConvReLU2d],
  [nniqat.ConvReLU3d, nniq.ConvReLU3d],
  [nniqat.LinearReLU, nniq.LinearReLU],
  [nniqat.LinearBn1d, nnq.Linear],
  [nnqat.Linear, nnq.Linear],
  [nnqat.Conv2d, nnq.Conv2d],
  [nnqat.Conv3d, nnq.Conv3d],
];

const qatTable: readonly Row[] = [
  [nn.Conv2d, nnqat.Conv2d],
  [nn.Conv3d, nnqat.Conv3d],
  [nn.Linear, nnqat.Linear],
  [nn.NonDynamicallyQuantizableLinear, nnqat.Linear],
  [nni.ConvBn1d, nniqat.ConvBn1d],
  [nni.ConvBn2d, nniqat.ConvBn2d],
  [nni.ConvBn3d, nniqat.ConvBn3d],
  [nni.ConvBnReLU1d, nniqat.ConvBnReLU1d],
  [nni.ConvBnReLU2d, nniqat.ConvBnReLU2d],
  [nni.ConvBnReLU3d, nniqat.ConvBnReLU3d],
  [nni.ConvReLU2d, nniqat.ConvReLU2d],
  [nni.ConvReLU3d, nniqat.ConvReLU3d],
  [nni.LinearReLU, nniqat.LinearReLU],
  [nni.LinearBn1d, nniqat.LinearBn1d],
];

const dynamicTable: readonly Row[] = [
  [nn.GRUCell, nnqd.GRUCell],
  [nn.Linear, nnqd.Linear],
  [nnqatd.Linear, nnqd.Linear],
  [nn.NonDynamicallyQuantizableLinear, nnqd.Linear],
  [nn.LSTM, nnqd.LSTM],
  [nn.GRU, nnqd.GRU],
  [nn.LSTMCell, nnqd.LSTMCell],
  [nn.RNNCell, nnqd.RNNCell],
  [nni.LinearReLU, nniqd.LinearReLU],
  [nn.EmbeddingBag, nnq.EmbeddingBag],
  [nn.Embedding, nnq.Embedding],
];

const referenceTable: readonly Row[] = [
  [QuantStub, nnq.Quantize],
  [DeQuantStub, nnq.DeQuantize],
  [nn.Linear, nnqr.Linear],
  [nn.Conv1d, nnqr.Conv1d],
  [nn.Conv2d, nnqr.Conv2d],
  [nn.Conv3d, nnqr.Conv3d],
  [nn.ConvTranspose1d, nnqr.ConvTranspose1d],
  [nn.ConvTranspose2d, nnqr.ConvTranspose2d],
  [nn.ConvTranspose3d, nnqr.ConvTranspose3d],
  [nn.Embedding, nnqr.Embedding],
  [nn.EmbeddingBag, nnqr.EmbeddingBag],
  [nn.GRUCell, nnqr.GRUCell],
  [nn.LSTMCell, nnqr.LSTMCell],
  [nn.RNNCell, nnqr.RNNCell],
  [nn.LSTM, nnqr.LSTM],
];

const embeddingTable: readonly Row[] = [
  [nn.EmbeddingBag, nnqat.EmbeddingBag],
  [nn.Embedding, nnqat.Embedding],
];

/** Modules with a fixed output range get this fake quantization while training, whatever their qconfig says. */
export const fixedRangeFakeQuants: ReadonlyMap<ModuleClass, ModuleFactory> = new Map<ModuleClass, ModuleFactory>([
  [nn.Hardsigmoid, defaultFixedQParamsRange0to1FakeQuant],
  [nn.Sigmoid, defaultFixedQParamsRange0to1FakeQuant],
  [nn.Softmax, defaultFixedQParamsRange0to1FakeQuant],
  [nn.Tanh, defaultFixedQParamsRangeNeg1to1FakeQuant],
]);

/** Float → quantized, for post-training static quantization, and trained → quantized. */
export function getDefaultStaticQuantModuleMappings(): Map<ModuleClass, FromFloat> {
  return new Map(staticTable);
}

/** Float → reference: layers that compute in float with quantized-and-dequantized weights. */
export function getDefaultStaticQuantReferenceModuleMappings(): Map<ModuleClass, FromFloat> {
  return new Map(referenceTable);
}

/** Float → layers with fake-quantized weights. */
export function getDefaultQatModuleMappings(): Map<ModuleClass, FromFloat> {
  return new Map(qatTable);
}

/** The same, embeddings included. */
export function getEmbeddingQatModuleMappings(): Map<ModuleClass, FromFloat> {
  return new Map([...qatTable, ...embeddingTable]);
}

/** Trained → quantized, embeddings included. */
export function getEmbeddingStaticQuantModuleMappings(): Map<ModuleClass, FromFloat> {
  return new Map([...staticTable, [nnqat.EmbeddingBag, nnq.EmbeddingBag], [nnqat.Embedding, nnq.Embedding]]);
}

/** Float → dynamically quantized. */
export function getDefaultDynamicQuantModuleMappings(): Map<ModuleClass, FromFloat> {
  return new Map(dynamicTable);
}

function keysOf(...tables: readonly (readonly Row[])[]): ModuleClass[] {
  return tables.flatMap((table) => table.map(([key]) => key));
}

/** Classes whose output `prepare` observes when they are leaves. */
export function getDefaultQConfigPropagationList(): Set<ModuleClass> {
  return new Set([...keysOf(staticTable, qatTable, dynamicTable), nn.Sequential]);
}

/** Classes whose output the numeric suite records. */
export function getDefaultCompareOutputModuleList(): Set<ModuleClass> {
  const values = [staticTable, qatTable, dynamicTable].flatMap((table) =>
    table.map(([, value]) => value as unknown as ModuleClass),
  );
  return new Set([...values, ...getDefaultQConfigPropagationList()]);
}

/** Float operator → quantized operator with output parameters. */
export function getDefaultFloatToQuantizedOperatorMappings(): Map<Op, Op> {
  const rows: readonly (readonly [unknown, unknown])[] = [
    [eluOp, quantizedEluOp],
    [hardswishOp, quantizedHardswishOp],
    [instanceNormOp, quantizedGroupNormOp],
    [layerNormOp, quantizedLayerNormOp],
    [leakyReluOp, quantizedLeakyReluOp],
  ];
  return new Map(rows as readonly (readonly [Op, Op])[]);
}

/** The quantized operator of a float one. @throws QuantError when there is none. */
export function getQuantizedOperator(op: Op): Op {
  const found = getDefaultFloatToQuantizedOperatorMappings().get(op);
  if (found) return found;
  throw new QuantError("getQuantizedOperator", { op: op.name }, "the operator has no quantized counterpart");
}

function lookUp(mapping: ModuleMapping, float: ModuleClass): FromFloat {
  const found = mapping.get(float);
  if (found) return found;
  throw new QuantError("mappings", { class: float.name }, "the class has no quantized counterpart");
}

/** The statically quantized class of a float one. @throws QuantError when there is none. */
export function getStaticQuantModuleClass(
  float: ModuleClass,
  additional: ModuleMapping = new Map(),
  isReference = false,
): FromFloat {
  const table = isReference ? referenceTable : staticTable;
  return lookUp(new Map([...table, ...additional]), float);
}

/** The dynamically quantized class of a float one. @throws QuantError when there is none. */
export function getDynamicQuantModuleClass(float: ModuleClass, additional: ModuleMapping = new Map()): FromFloat {
  return lookUp(new Map([...dynamicTable, ...additional]), float);
}

/** Observed classes that get no observer on their output. */
export function noObserverSet(): Set<ModuleClass> {
  return new Set<ModuleClass>([quantizable.LSTM, quantizable.MultiheadAttention]);
}

/** The custom modules eager mode knows by itself: LSTM and MultiheadAttention. */
export function getDefaultCustomConfigDict(): CustomConfig {
  return {
    float_to_observed_custom_module_class: new Map<
      ModuleClass,
      typeof quantizable.LSTM | typeof quantizable.MultiheadAttention
    >([
      [nn.LSTM, quantizable.LSTM],
      [nn.MultiheadAttention, quantizable.MultiheadAttention],
    ]),
    observed_to_quantized_custom_module_class: new Map<ModuleClass, typeof nnq.LSTM | typeof nnq.MultiheadAttention>([
      [quantizable.LSTM, nnq.LSTM],
      [quantizable.MultiheadAttention, nnq.MultiheadAttention],
    ]),
  };
}
