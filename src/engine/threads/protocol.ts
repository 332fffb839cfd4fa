/**
 * How the main thread and its workers share work. Everything lies in bytes of the shared memory that the
 * allocator never hands out.
 *
 * A job is one kernel call whose range is cut into chunks. Whoever is free claims the next chunk by
 * decreasing the ticket; the main thread works too. A chunk writes only its own outputs, so it does not matter
 * who does it: results are the same for any number of threads, and a worker that sleeps, starts late or died
 * idle only leaves more to the others.
 *
 * The ticket holds the job's number and the chunks still unclaimed in one word. A claim is a compare-and-swap
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
  /** Number of the job, and unclaimed chunks in the low bits. */
  ticket: 0,
  /** Chunks finished. */
  done: 1,
  /** Chunks that threw. */
  failed: 2,
  /** Changes with each job; workers sleep on it. */
  wake: 3,
  /** Workers asleep or about to sleep. */
  sleepers: 4,
  /** Workers of another generation leave. */
  generation: 5,
  /** The job: kernel index, number of arguments, chunks, position of the range, its unit, position and bytes of scratch. */
  kernel: 6,
  count: 7,
  chunks: 8,
  rangeAt: 9,
  unit: 10,
  scratchAt: 11,
  scratchBytes: 12,
  /** Workers that are ready. */
  ready: 13,
} as const;

export const CONTROL_WORDS = 14;
/** Low bits of the ticket: unclaimed chunks. */
export const CHUNK_BITS = 8;
export const MAX_CHUNKS = (1 << CHUNK_BITS) - 1;

/** Where chunk `i` of `chunks` begins in start..end cut at multiples of `unit`. */
export function chunkStart(i: number, chunks: number, start: number, end: number, unit: number): number {
  const units = Math.ceil((end - start) / unit);
  return Math.min(end, start + Math.floor((i * units) / chunks) * unit);
}
