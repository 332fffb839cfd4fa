/**
 * fewbit as a candidate: compiled from the same ONNX files the others read, on an engine of the given build and threads.
 */

import { compile } from "../../src/compile/index.ts";
import type { Executable } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { EngineOptions } from "../../src/engine/engine.ts";
import { convNdBackwardInputF32, convNdBackwardWeightF32 } from "../../src/engine/eager/index.ts";
import { importOnnx } from "../../src/onnx/index.ts";
import type { IntegerForm } from "../models/onnx.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Candidate, Prepared, Skipped } from "../lib/candidate.ts";
import type { BenchCase, ConvSizes } from "../lib/case.ts";
import { randomBytes, randomFloats } from "../lib/random.ts";
import { readModel, signatureOf } from "../models/files.ts";
import { integerProducts } from "../kernels/int8.ts";
import { floatGraph, imageTensor, preparedGraph } from "../models/networks.ts";
import { trainingStep } from "./fewbit-training.ts";

function inputTensor({ work, precision }: BenchCase): Tensor {
  if (work.kind === "network") return imageTensor(work.batch);
  const { input } = signatureOf(work);
  const length = input.reduce((a, b) => a * b, 1);
  return precision === "f32"
    ? new Tensor("float32", input, randomFloats(length, 1))
    : new Tensor("uint8", input, randomBytes(length, 1));
}

/** The form of a model that is compiled: a product of integers is a linear layer. */
function formOf({ work, precision }: BenchCase): "f32" | IntegerForm {
  if (precision === "f32") return "f32";
  return work.kind === "gemm" ? "qdq-gemm" : "qdq";
}

export interface FewbitOptions extends EngineOptions {
  /** Trains with eager operators instead of a compiled step. */
  readonly isEager?: boolean;
  /** Does the plain float work that a case with quantization is compared with: inference, a training step. */
  readonly isPlain?: boolean;
}

class Fewbit implements Candidate {
  private readonly engine: Engine;
  private readonly isEager: boolean;
  private readonly isPlain: boolean;

  constructor({ isEager = false, isPlain = false, ...options }: FewbitOptions) {
    this.engine = new Engine(options);
    this.isEager = isEager;
    this.isPlain = isPlain;
  }

  describe(): string {
    const { build, dot, threads } = this.engine;
    return `fewbit, ${build} build, dot product ${dot}, ${threads} thread${threads > 1 ? "s" : ""}, Node ${process.version}`;
  }

  prepare(work: BenchCase): Promise<Prepared | Skipped> {
    switch (work.work.kind) {
      case "gemm":
      case "conv":
      case "network":
        return Promise.resolve(this.runModel(work));
      case "train":
        return Promise.resolve(
          trainingStep(this.isPlain ? "f32" : work.precision, work.work.batch, this.isEager ? null : this.engine),
        );
      case "calibrate":
        return Promise.resolve(this.calibrate(work.work.batch));
      case "convGradients":
        return Promise.resolve(this.convGradients(work.work.sizes));
      case "kernel":
        return Promise.resolve(this.kernel(work.name));
    }
  }

  private runModel(work: BenchCase): Prepared {
    const executable: Executable = compile(importOnnx(readModel(work, formOf(work))), { engine: this.engine });
    const input = inputTensor(work);
    let output = executable.runOne(input);
    return {
      call: () => {
        output = executable.runOne(input);
      },
      output: () => Float32Array.from(output.data),
      dispose: () => executable.dispose(),
    };
  }

  /** The network with a histogram observer at every activation. */
  private calibrate(batch: number): Prepared {
    const executable = compile(this.isPlain ? floatGraph() : preparedGraph(), { engine: this.engine });
    const images = imageTensor(batch, "train");
    return {
      call: () => void executable.run(images),
      output: () => Float32Array.from(executable.runOne(images).data),
      dispose: () => executable.dispose(),
    };
  }

  /** Both gradients of a convolution, operands in and results out. */
  private convGradients({ inChannels, outChannels, size, kernel, stride }: ConvSizes): Prepared {
    const pad = (kernel - 1) / 2;
    const shape = {
      batch: 1, inChannels, outChannels, groups: 1, size: [size, size], kernel: [kernel, kernel],
      stride: [stride, stride], padding: [pad, pad], dilation: [1, 1],
    }; // prettier-ignore
    const { engine } = this;
    const x = randomFloats(inChannels * size ** 2, 1);
    const w = randomFloats(outChannels * inChannels * kernel ** 2, 2);
    const dy = randomFloats(outChannels * size ** 2, 3);
    return {
      call: () => {
        convNdBackwardInputF32(dy, w, shape, engine);
        convNdBackwardWeightF32(dy, x, shape, engine);
      },
      output: () => null,
      dispose: () => undefined,
    };
  }

  private kernel(name: string): Prepared {
    const { call, free } = integerProducts.find((work) => `kernel ${work.name}` === name)!.make(this.engine);
    return { call, output: () => null, dispose: free };
  }
}

export function fewbit(options: FewbitOptions): Candidate {
  return new Fewbit(options);
}
