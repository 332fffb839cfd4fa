/**
 * Starting a worker: worker_threads in Node, Web Workers in cross-origin isolated pages. Where neither can
 * share memory, there are no threads.
 */

import type * as threadsModule from "node:worker_threads";
import { nodeWorkerSource, webWorkerSource } from "./worker-source.ts";
import type { WorkerData } from "./worker-source.ts";

export interface RunningWorker {
  terminate(): void;
}

type WorkerThreads = Pick<typeof threadsModule, "Worker">;

/** Node's worker_threads, without an import that bundlers for the browser would have to resolve. */
function workerThreads(): WorkerThreads | undefined {
  if (typeof process === "undefined") return undefined;
  const { getBuiltinModule } = process as { getBuiltinModule?: (name: string) => unknown };
  return getBuiltinModule?.("node:worker_threads") as WorkerThreads | undefined;
}

/** Whether memory can be shared with workers here. */
export function canShareMemory(): boolean {
  if (typeof SharedArrayBuffer === "undefined") return false;
  if (workerThreads()) return true;
  return (
    typeof Worker !== "undefined" && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true
  );
}

/** Processors of this machine, as far as the host tells. */
export function hostThreads(): number {
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/** Starts one worker; it keeps no process alive. */
export function startWorker(data: WorkerData): RunningWorker {
  const node = workerThreads();
  if (node) {
    const worker = new node.Worker(nodeWorkerSource, { eval: true, workerData: data });
    worker.unref();
    // A worker that fails leaves its chunks to the others; without a listener Node would end the process.
    worker.on("error", () => undefined);
    return { terminate: () => void worker.terminate() };
  }
  const url = URL.createObjectURL(new Blob([webWorkerSource], { type: "text/javascript" }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  worker.postMessage(data);
  return worker;
}
