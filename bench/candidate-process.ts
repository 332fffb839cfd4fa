/**
 * One candidate's process: answers the parent's requests. Started by bench/run.ts with the candidate's name.
 */

import type { Candidate, Prepared, Reply, Request } from "./lib/candidate.ts";
import { QUICK_TIMING, TIMING, timeBatch, warmUp } from "./lib/timing.ts";
import { candidates } from "./candidates/list.ts";

const name = process.argv[2] ?? "";
const load = candidates.get(name);
if (!load) throw new Error(`no candidate ${name}`);

let candidate: Candidate | undefined;
let prepared: Prepared | undefined;
let count = 1;

async function prepare(request: Request & { type: "prepare" }): Promise<Reply> {
  const made = await candidate!.prepare(request.work);
  if ("skipped" in made) return { type: "skipped", reason: made.skipped };
  prepared = made;
  count = await warmUp(made.call, request.quick ? QUICK_TIMING : TIMING);
  const { amount, note = "" } = made;
  return { type: "prepared", output: await made.output(), note, ...(amount !== undefined && { amount }) };
}

async function batch(): Promise<Reply> {
  const before = process.cpuUsage();
  const ms = await timeBatch(prepared!.call, count);
  const { user, system } = process.cpuUsage(before);
  return { type: "time", ms, share: Math.min(1, (user + system) / 1000 / (ms * count)) };
}

async function answer(request: Request): Promise<Reply> {
  candidate ??= await load!();
  switch (request.type) {
    case "describe":
      return { type: "description", text: await candidate.describe() };
    case "prepare":
      return prepare(request);
    case "batch":
      return batch();
    case "release":
      await prepared?.dispose();
      prepared = undefined;
      return { type: "released" };
  }
}

process.on("message", (request: Request) => {
  answer(request)
    .catch((error: unknown): Reply => ({
      type: "failed",
      error: error instanceof Error ? error.message : String(error),
    }))
    .then((reply) => process.send!(reply))
    .catch((error: unknown) => console.error(error));
});
