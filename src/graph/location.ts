/**
 * The user's file and line behind a call into the library: the first stack frame outside it.
 */

const libraryRoot = new URL("..", import.meta.url).href;
const ownFile = import.meta.url;

/** Frames deeper than this are not looked at; models nest far less. */
const STACK_DEPTH = 60;

function isLibraryFrame(frame: string): boolean {
  const inRoot = frame.includes(libraryRoot) || frame.includes(decodeURI(new URL(libraryRoot).pathname));
  return inRoot || frame.includes(ownFile) || frame.includes("node:internal") || frame.includes("<anonymous>");
}

/** `model.ts:14` of the innermost frame outside this library, or "" when there is none. */
export function callerLocation(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_DEPTH;
  const stack = new Error().stack ?? "";
  Error.stackTraceLimit = limit;
  const frames = stack.split("\n").slice(1);
  const user = frames.find((frame) => !isLibraryFrame(frame));
  const place = user && /([^/\\()\s]+):(\d+):\d+\)?$/.exec(user.trim());
  return place ? `${place[1]!.replace(/\?.*$/, "")}:${place[2]!}` : "";
}
