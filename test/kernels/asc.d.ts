/**
 * What the tests use of AssemblyScript's compiler. Its own declarations bring a second global Array, whose `at` never
 * gives undefined, into every file of the project.
 */

interface Options {
  readFile(name: string): string | null;
  writeFile(name: string, contents: Uint8Array | string): void;
  listFiles(): string[];
}

declare const asc: {
  main(
    args: readonly string[],
    options: Partial<Options>,
  ): Promise<{ readonly error: Error | null; readonly stderr: { toString(): string } }>;
};
export default asc;
