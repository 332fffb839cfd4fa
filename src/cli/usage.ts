/** What a command ends with when it cannot go on. */

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The user pressed Ctrl-C. */
export class Interrupted extends Error {
  override name = "Interrupted";
}
