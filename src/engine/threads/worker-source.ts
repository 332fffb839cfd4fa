/**
 * What a worker runs, as text: started from a string, it needs no file that users or bundlers would have to
 * place. It instantiates the kernels over the shared memory, then claims chunks (see protocol.ts), spinning a
 * while before it sleeps, because waking costs a hundred times a claim.
 */

import {
  ARGUMENTS_AT,
  CHUNK_BITS,
  CONTROL_AT,
  CONTROL_WORDS,
  MAX_ARGUMENTS,
  MAX_CHUNKS,
  TICKETS_AT,
  WORD,
  chunkStart,
  claimable,
  shareStart,
} from "./protocol.ts";

/** Turns a worker spins without work before it sleeps: about a tenth of a millisecond. */
const SPINS = 20000;

export interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Names of kernels by index. */
  readonly names: readonly string[];
  /** 1, 2, ...: which share of the chunks and which scratch are this worker's. */
  readonly id: number;
  /** All threads, the main one included. */
  readonly threads: number;
  /** The worker leaves when the pool's generation is no longer this. */
  readonly generation: number;
}

const BODY = `
function serve({ module, memory, names, id, threads, generation }) {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const control = new Int32Array(memory.buffer, ${CONTROL_AT}, ${CONTROL_WORDS});
  const values = new Float64Array(memory.buffer, ${ARGUMENTS_AT}, ${MAX_ARGUMENTS});
  const tickets = new Int32Array(memory.buffer, ${TICKETS_AT}, threads);
  const chunkStart = ${chunkStart.toString()};
  const shareStart = ${shareStart.toString()};
  const claimable = ${claimable.toString()};
  // Chunks of one job: its description is read before the first is claimed, and holds while more can be.
  function work(share) {
    let ticket = Atomics.load(tickets, share);
    const job = ticket >> ${CHUNK_BITS};
    const args = Array.from(values.subarray(0, control[${WORD.count}]));
    const [name, chunks, at, unit] = [names[control[${WORD.kernel}]], control[${WORD.chunks}], control[${WORD.rangeAt}], control[${WORD.unit}]];
    const [scratchAt, scratchBytes] = [control[${WORD.scratchAt}], control[${WORD.scratchBytes}]];
    const [start, end] = [args[at], args[at + 1]];
    if (scratchAt >= 0) args[scratchAt] += id * scratchBytes;
    while (ticket >> ${CHUNK_BITS} === job && (ticket & ${MAX_CHUNKS}) !== 0) {
      const seen = Atomics.compareExchange(tickets, share, ticket, ticket - 1);
      if (seen !== ticket) {
        ticket = seen;
        continue;
      }
      const chunk = shareStart(share + 1, threads, chunks) - (ticket & ${MAX_CHUNKS});
      args[at] = chunkStart(chunk, chunks, start, end, unit);
      args[at + 1] = chunkStart(chunk + 1, chunks, start, end, unit);
      try {
        kernels[name](...args);
      } catch {
        Atomics.add(control, ${WORD.failed}, 1);
      }
      ticket = ticket - 1;
      Atomics.add(control, ${WORD.done}, 1);
    }
  }
  Atomics.add(control, ${WORD.ready}, 1);
  const current = () => Atomics.load(control, ${WORD.generation}) === generation;
  while (current()) {
    let share = -1;
    for (let i = 0; i < ${SPINS} && (share = claimable(tickets, id, ${MAX_CHUNKS})) < 0; i++);
    if (!current()) break;
    if (share >= 0) {
      work(share);
      continue;
    }
    const wake = Atomics.load(control, ${WORD.wake});
    Atomics.add(control, ${WORD.sleepers}, 1);
    if (claimable(tickets, id, ${MAX_CHUNKS}) < 0 && current()) {
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
