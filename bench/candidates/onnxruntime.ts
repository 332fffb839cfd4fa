/**
 * onnxruntime as a candidate: the WebAssembly one (all graph optimizations, SIMD) or the native one, with a given number of threads.
 * Integer models are tried in every form and the fastest is timed.
 */

import type * as Ort from "onnxruntime-web";
import { readModel, modelForms, signatureOf } from "../models/files.ts";
import type { Candidate, Prepared, Skipped } from "../lib/candidate.ts";
import type { BenchCase } from "../lib/case.ts";
import { networkImages } from "../models/inputs.ts";
import { randomBytes, randomFloats } from "../lib/random.ts";
import { QUICK_TIMING, interleaved } from "../lib/timing.ts";

/** Rounds by which the fastest form of a model is chosen. */
const CHOOSING_ROUNDS = 3;

type Runtime = Pick<typeof Ort, "InferenceSession" | "Tensor" | "env">;

interface Running {
  readonly form: string;
  readonly session: Ort.InferenceSession;
  readonly run: () => Promise<Ort.Tensor>;
}

async function loadRuntime(kind: "web" | "node", threads: number): Promise<Runtime> {
  if (kind === "node") return await import("onnxruntime-node");
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return ort;
}

function inputTensor(ort: Runtime, work: BenchCase): Ort.Tensor {
  if (work.work.kind === "network") {
    const images = networkImages(work.work.batch);
    return new ort.Tensor("float32", images.values, images.shape);
  }
  const { input } = signatureOf(work.work);
  const length = input.reduce((a, b) => a * b, 1);
  return work.precision === "f32"
    ? new ort.Tensor("float32", randomFloats(length, 1), input)
    : new ort.Tensor("uint8", randomBytes(length, 1), input);
}

class OnnxRuntime implements Candidate {
  private readonly ort: Runtime;
  private readonly kind: "web" | "node";
  private readonly threads: number;
  private readonly isPlain: boolean;

  constructor(ort: Runtime, kind: "web" | "node", threads: number, isPlain: boolean) {
    this.ort = ort;
    this.kind = kind;
    this.threads = threads;
    this.isPlain = isPlain;
  }

  describe(): string {
    const { versions } = this.ort.env;
    const version = this.kind === "web" ? versions.web : versions.node;
    return `onnxruntime-${this.kind} ${version ?? versions.common}, ${this.threads} thread${this.threads > 1 ? "s" : ""}`;
  }

  async prepare(work: BenchCase): Promise<Prepared | Skipped> {
    const forms = this.isPlain ? (["f32"] as const) : modelForms(work);
    if (!forms) return { skipped: "onnxruntime does not train" };
    const input = inputTensor(this.ort, work);
    const running: Running[] = [];
    for (const form of forms) running.push(await this.start(work, form, input));
    const fastest = running.length > 1 ? await fastestOf(running) : running[0]!;
    for (const other of running) if (other !== fastest) await other.session.release();
    return {
      call: async () => void (await fastest.run()),
      output: async () => Float32Array.from((await fastest.run()).data as ArrayLike<number>),
      dispose: () => fastest.session.release(),
      note: forms.length > 1 ? fastest.form : "",
    };
  }

  private async start(work: BenchCase, form: string, input: Ort.Tensor): Promise<Running> {
    const session = await this.ort.InferenceSession.create(readModel(work, form), {
      executionProviders: [this.kind === "web" ? "wasm" : "cpu"],
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      ...(this.kind === "node" && { intraOpNumThreads: this.threads, interOpNumThreads: 1 }),
    });
    const feeds = { [session.inputNames[0]!]: input };
    const output = session.outputNames[0]!;
    return { form, session, run: async () => (await session.run(feeds))[output]! };
  }
}

async function fastestOf(running: readonly Running[]): Promise<Running> {
  const times = await interleaved(
    running.map(
      ({ run }) =>
        async () =>
          void (await run()),
    ),
    CHOOSING_ROUNDS,
    QUICK_TIMING,
  );
  const best = Math.min(...times.map((time) => time.median));
  return running[times.findIndex((time) => time.median === best)]!;
}

/** `isPlain`: runs the float network also where the case is about the integer one. */
export async function onnxruntime(kind: "web" | "node", threads: number, isPlain: boolean): Promise<Candidate> {
  return new OnnxRuntime(await loadRuntime(kind, threads), kind, threads, isPlain);
}
