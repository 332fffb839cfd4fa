/**
 * The user's file and line behind a call into the library: the first stack frame outside it and other packages.
 */

const libraryRoot = new URL("..", import.meta.url).href;
const ownFile = import.meta.url;

/** Frames deeper than this are not looked at; models nest far less. */
const STACK_DEPTH = 60;

function isLibraryFrame(frame: string): boolean {
  const inRoot = frame.includes(libraryRoot) || frame.includes(decodeURI(new URL(libraryRoot).pathname));
  const others = ["node:internal", "/node_modules/", "<anonymous>"];
  return inRoot || frame.includes(ownFile) || others.some((other) => frame.includes(other));
}

/**
 * `model.ts:14` of the innermost frame of a stack outside this library, or "" when there is none. Frames of the named
 * classes' constructors are passed over, base class first: what is asked is who said `new`.
 */
export function locationInStack(stack: string, constructors: readonly string[] = []): string {
  const frames = stack.split("\n").slice(1);
  for (const name of constructors) if (frames[0]?.trim().startsWith(`at new ${name} `)) frames.shift();
  const user = frames.find((frame) => !isLibraryFrame(frame));
  const place = user && /([^/\\()\s]+):(\d+):\d+\)?$/.exec(user.trim());
  return place ? `${place[1]!.replace(/\?.*$/, "")}:${place[2]!}` : "";
}

/** Runs `fn` with stacks deep enough for `locationInStack` to find the user's line in errors it throws. */
export function withDeepStacks<T>(fn: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_DEPTH;
  try {
    return fn();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Where the running code was called from, as `locationInStack` says it. */
export function callerLocation(): string {
  return locationInStack(withDeepStacks(() => new Error().stack ?? ""));
}
