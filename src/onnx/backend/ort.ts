/**
 * Sessions of onnxruntime, native (onnxruntime-node) or WebAssembly (onnxruntime-web).
 *
 * Both packages have one interface. It is declared here as far as it is used, so that neither need be installed to
 * type-check.
 */

import { OnnxError } from "../../errors.ts";
import { importPeer } from "../../data/files/peer.ts";
import { exportOnnx } from "../export.ts";
import type { BackendName, Session, SessionModel, SessionOptions } from "./backend.ts";
import { threadCount } from "./backend.ts";
import { fromOrt, toOrt } from "./ort-tensors.ts";
import type { OrtTensor } from "./ort-tensors.ts";

interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

interface OrtModule {
  readonly env: { readonly wasm: { numThreads?: number }; logLevel?: string };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: { create(model: string | Uint8Array, options: object): Promise<OrtSession> };
}

/** Severity 3: errors only; warnings about a model's form are not for its user. */
const ERRORS_ONLY = 3;

async function loadOrt(name: BackendName, threads: number): Promise<OrtModule> {
  const loaded = await importPeer<OrtModule & { default?: OrtModule }>(name, `--backend ${name}`);
  const ort = "InferenceSession" in loaded ? loaded : (loaded as { default: OrtModule }).default;
  if (name === "onnxruntime-web") ort.env.wasm.numThreads = threads;
  return ort;
}

/** The reason in an error of onnxruntime: its first line, without the addresses behind. */
function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!.trim();
}

/**
 * A session that runs the model's file, or the graph exported, in onnxruntime.
 * @throws DependencyError when the package is not installed; OnnxError when onnxruntime refuses the model.
 */
export async function ortSession(
  backend: Exclude<BackendName, "fewbit">,
  { module, file }: SessionModel,
  options: SessionOptions = {},
): Promise<Session> {
  const threads = threadCount(options);
  const ort = await loadOrt(backend, threads);
  const given = module.graph.inputs.map(({ node }) => node.target);
  const session = await ort.InferenceSession.create(file ?? exportOnnx(module), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: ERRORS_ONLY,
    ...(backend === "onnxruntime-web" && { executionProviders: ["wasm"] }),
  }).catch((cause: unknown) => {
    throw new OnnxError(backend, { reason: reasonOf(cause) }, "does not load the model");
  });
  return {
    backend,
    threads,
    async run(inputs) {
      const feeds = Object.fromEntries(
        inputs.map((tensor, i) => {
          const { type, data, dims } = toOrt(given[i]!, tensor);
          return [given[i]!, new ort.Tensor(type, data, dims)];
        }),
      );
      const results = await session.run(feeds).catch((cause: unknown) => {
        throw new OnnxError(backend, { reason: reasonOf(cause) }, "does not run the model");
      });
      return session.outputNames.map((name) => fromOrt(name, results[name]!));
    },
    dispose: () => session.release(),
  };
}
