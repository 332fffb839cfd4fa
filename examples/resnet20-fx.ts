/**
 * A real pretrained ResNet-20 quantized in FX graph mode: nothing in the model knows of quantization. Traced, fused,
 * calibrated on 1000 images, converted to integer operators, compiled and evaluated on 2000 images.
 *
 *   node --conditions=fewbit-source examples/resnet20-fx.ts [data folder]
 */

import type { GraphModule } from "fewbit/graph";
import {
  convertFx,
  fuseFx,
  getDefaultQConfigMapping,
  getQnnpackBackendConfig,
  getX86BackendConfig,
  prepareFx,
} from "fewbit/quantization/fx";
import {
  assertCompiledEqualsInterpreted,
  calibrate,
  evaluateCompiled,
  pretrained,
  resultRow,
  rows,
  test,
} from "./lib/resnet20.ts";
import { printTable } from "./lib/table.ts";

const model = pretrained();
const example = [rows(test.images, 0, 2)];
const backends = { x86: getX86BackendConfig(), qnnpack: getQnnpackBackendConfig() };

function quantize(backend: keyof typeof backends): GraphModule {
  const prepared = prepareFx(model, getDefaultQConfigMapping(backend), example, null, backends[backend]);
  for (const { message } of prepared.unsupported) console.log(message);
  calibrate(backend, prepared);
  return convertFx(prepared);
}

const float = evaluateCompiled("float", fuseFx(model, example), test);
const table = [resultRow("float", float, float)];
for (const backend of ["x86", "qnnpack"] as const) {
  const quantized = quantize(backend);
  const count = assertCompiledEqualsInterpreted(backend, quantized);
  console.log(`${backend}: all ${count} logits compared are the interpreter's, bit for bit`);
  table.push(resultRow(`int8, ${backend} default`, evaluateCompiled(backend, quantized, test), float));
}
printTable(["ResNet-20, FX", "top-1", "SQNR dB", "images/s"], table);
