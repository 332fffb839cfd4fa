/**
 * What a worker runs, as text: started from a string, it needs no file that users or bundlers would have to
 * place. It instantiates the kernels over the shared memory, then claims chunks (see protocol.ts), spinning a
 * while before it sleeps, because waking costs a hundred times a claim.
 */

import { ARGUMENTS_AT, CHUNK_BITS, CONTROL_AT, CONTROL_WORDS, MAX_ARGUMENTS, WORD, chunkStart } from "./protocol.ts";

/** Turns a worker spins without work before it sleeps: about a tenth of a millisecond. */
const SPINS = 20000;

export interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Names of kernels by index. */
  readonly names: readonly string[];
  /** 1, 2, ...: which scratch is this worker's. */
  readonly id: number;
  /** The worker leaves when the pool's generation is no longer this. */
  readonly generation: number;
}

const BODY = `
function serve({ module, memory, names, id, generation }) {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const control = new Int32Array(memory.buffer, ${CONTROL_AT}, ${CONTROL_WORDS});
  const values = new Float64Array(memory.buffer, ${ARGUMENTS_AT}, ${MAX_ARGUMENTS});
  const chunkStart = ${chunkStart.toString()};
  function work(ticket) {
    const args = Array.from(values.subarray(0, control[${WORD.count}]));
    const [kernel, chunks, at, unit] = [control[${WORD.kernel}], control[${WORD.chunks}], control[${WORD.rangeAt}], control[${WORD.unit}]];
    const [scratchAt, scratchBytes] = [control[${WORD.scratchAt}], control[${WORD.scratchBytes}]];
    if (Atomics.compareExchange(control, ${WORD.ticket}, ticket, ticket - 1) !== ticket) return;
    const chunk = (ticket & ${(1 << CHUNK_BITS) - 1}) - 1;
    const [start, end] = [args[at], args[at + 1]];
    args[at] = chunkStart(chunk, chunks, start, end, unit);
    args[at + 1] = chunkStart(chunk + 1, chunks, start, end, unit);
    if (scratchAt >= 0) args[scratchAt] += id * scratchBytes;
    try {
      kernels[names[kernel]](...args);
    } catch {
      Atomics.add(control, ${WORD.failed}, 1);
    }
    Atomics.add(control, ${WORD.done}, 1);
  }
  const hasWork = (ticket) => (ticket & ${(1 << CHUNK_BITS) - 1}) !== 0;
  Atomics.add(control, ${WORD.ready}, 1);
  const current = () => Atomics.load(control, ${WORD.generation}) === generation;
  while (current()) {
    let ticket = 0;
    for (let i = 0; i < ${SPINS} && !hasWork((ticket = Atomics.load(control, ${WORD.ticket}))); i++);
    if (!current()) break;
    if (hasWork(ticket)) {
      work(ticket);
      continue;
    }
    const wake = Atomics.load(control, ${WORD.wake});
    Atomics.add(control, ${WORD.sleepers}, 1);
    if (!hasWork(Atomics.load(control, ${WORD.ticket})) && current()) {
      Atomics.wait(control, ${WORD.wake}, wake);
    }
    Atomics.sub(control, ${WORD.sleepers}, 1);
  }
}
`;

/** Source of a worker in Node (worker_threads, CommonJS). */
export const nodeWorkerSource = `${BODY}\nserve(require("node:worker_threads").workerData);`;

/** Source of a Web Worker. */
export const webWorkerSource = `${BODY}\nonmessage = ({ data }) => serve(data);`;
