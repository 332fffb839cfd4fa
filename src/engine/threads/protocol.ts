/**
 * How the main thread and its workers share work. Everything lies in bytes of the shared memory that the
 * allocator never hands out.
 *
 * A job is one kernel call whose range is cut into chunks, a share of neighbouring ones for each thread. A thread claims
 * the next chunk of its share by decreasing that share's ticket; when its share is done it helps with the others; the main
 * thread works too. So a thread does the same part of layer after layer, and finds in its caches what it wrote. A chunk
 * writes only its own outputs, so it does not matter who does it: results are the same for any number of threads, and a
 * worker that sleeps, starts late or died idle only leaves more to the others.
 *
 * A ticket holds the job's number and the chunks of the share still unclaimed in one word. A claim is a compare-and-swap
 * of the word read BEFORE the job's arguments: it succeeds only while that job still has unclaimed chunks, and
 * as long as it has, the main thread does not overwrite the arguments.
 */

/** Byte offset of the control words (i32), and of the job's arguments (f64). */
export const CONTROL_AT = 512;
export const ARGUMENTS_AT = 1024;
/** Most arguments of a kernel that can be shared. */
export const MAX_ARGUMENTS = 48;

/** Indices of the control words. */
export const WORD = {
  /** The job: kernel index, number of arguments, chunks, position of the range, its unit, position and bytes of scratch. */
  kernel: 0,
  count: 1,
  chunks: 2,
  rangeAt: 3,
  unit: 4,
  scratchAt: 5,
  scratchBytes: 6,
  /** Changes with each job; workers sleep on it. */
  wake: 7,
  /** Workers asleep or about to sleep. */
  sleepers: 8,
  /** Workers of another generation leave. */
  generation: 9,
  /** Workers that are ready. */
  ready: 10,
  /** Chunks finished, and chunks that threw: on a cache line that the job's readers do not need. */
  done: 16,
  failed: 17,
} as const;

export const CONTROL_WORDS = 18;
/** Byte offset of the tickets (i32), one a thread: number of the job, and unclaimed chunks in the low bits. */
export const TICKETS_AT = 640;
/** Most threads of an engine. */
export const MAX_THREADS = 64;
/** Low bits of a ticket: unclaimed chunks. */
export const CHUNK_BITS = 8;
export const MAX_CHUNKS = (1 << CHUNK_BITS) - 1;

/** Where chunk `i` of `chunks` begins in start..end cut at multiples of `unit`. */
export function chunkStart(i: number, chunks: number, start: number, end: number, unit: number): number {
  const units = Math.ceil((end - start) / unit);
  return Math.min(end, start + Math.floor((i * units) / chunks) * unit);
}

/** The first chunk of a thread's share; of the thread behind the last, how many chunks there are. */
export function shareStart(thread: number, threads: number, chunks: number): number {
  return Math.floor((thread * chunks) / threads);
}

/**
 * The share that thread `id` claims its next chunk from: its own, or the next one with chunks left; -1 when none has.
 * `tickets` are those of all threads, `mask` their low bits. (Workers are given the text of these functions, which
 * therefore name nothing outside.)
 */
export function claimable(tickets: Int32Array, id: number, mask: number): number {
  for (let i = 0; i < tickets.length; i++) {
    const share = (id + i) % tickets.length;
    if ((Atomics.load(tickets, share) & mask) !== 0) return share;
  }
  return -1;
}
