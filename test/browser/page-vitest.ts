/**
 * What the suites use of Vitest, inside a page: bundled in its place, so that the same test bodies run in a browser.
 * Collects tests while a suite is loaded, then runs them one after the other. Matchers are at least as strict as Vitest's
 * (numbers by Object.is, typed arrays by class); one that is missing is an error, not a pass.
 */

export interface PageResult {
  readonly name: string;
  readonly status: "passed" | "failed" | "skipped";
  readonly error: string;
}

type Body = (...args: never[]) => unknown;

interface Scope {
  readonly name: string;
  readonly before: Body[];
  readonly after: Body[];
  readonly isSkipped: boolean;
}

interface Case {
  readonly scopes: readonly Scope[];
  readonly name: string;
  readonly body: () => unknown;
  readonly isSkipped: boolean;
}

const cases: Case[] = [];
const scopes: Scope[] = [{ name: "", before: [], after: [], isSkipped: false }];

/** Text of a value that is no object. */
function plain(value: unknown): string {
  return `${value as string}`;
}

/** Vitest's titles: %s %i %j %o take arguments in order, $name a field of the first. */
function title(pattern: string, args: readonly unknown[]): string {
  let next = 0;
  const filled = pattern.replace(/%[sdijo%#]/g, (mark) => {
    if (mark === "%%") return "%";
    const value = args[next++];
    return typeof value === "object" || mark === "%j" ? JSON.stringify(value) : plain(value);
  });
  return filled.replace(/\$([\w.]+)/g, (whole, path: string) => {
    const value = path.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], args[0]);
    return value === undefined ? whole : plain(value);
  });
}

type Options = Readonly<Record<string, unknown>>;
type Declare = (name: string, bodyOrOptions: Body | Options, body?: Body) => void;

/** `declare` with each, runIf and skipIf. */
function variants(declare: (isSkipped: boolean) => Declare) {
  const base = declare(false);
  return Object.assign(base, {
    each:
      (rows: readonly unknown[]) =>
      (name: string, bodyOrOptions: Body | Options, body?: Body): void => {
        const run = typeof bodyOrOptions === "function" ? bodyOrOptions : body!;
        for (const row of rows) {
          const args = (Array.isArray(row) ? row : [row]) as never[];
          base(title(name, args), () => run(...args));
        }
      },
    runIf: (condition: unknown) => declare(!condition),
    skipIf: (condition: unknown) => declare(Boolean(condition)),
    skip: declare(true),
  });
}

export const describe = variants((isSkipped) => (name, bodyOrOptions, body) => {
  const run = typeof bodyOrOptions === "function" ? bodyOrOptions : body!;
  scopes.push({ name, before: [], after: [], isSkipped: isSkipped || scopes.at(-1)!.isSkipped });
  run();
  scopes.pop();
});

export const test = variants((isSkipped) => (name, bodyOrOptions, body) => {
  const run = typeof bodyOrOptions === "function" ? bodyOrOptions : body!;
  cases.push({
    scopes: [...scopes],
    name,
    body: run,
    isSkipped: isSkipped || scopes.at(-1)!.isSkipped,
  });
});
export const it = test;

export function beforeAll(body: Body): void {
  scopes.at(-1)!.before.push(body);
}

export function afterAll(body: Body): void {
  scopes.at(-1)!.after.push(body);
}

function show(value: unknown): string {
  const text = typeof value === "object" && value !== null ? JSON.stringify(value) : plain(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function indexed(list: object): ArrayLike<unknown> {
  return list as ArrayLike<unknown>;
}

/** What stands in the place of a value and says whether another fits it. */
class Fitting {
  readonly fits: (got: unknown) => boolean;
  constructor(fits: (got: unknown) => boolean) {
    this.fits = fits;
  }
}

function isEqual(a: unknown, b: unknown): boolean {
  if (b instanceof Fitting) return b.fits(a);
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b)) return false;
  if (a instanceof Set && b instanceof Set) return isEqual([...a], [...b]);
  if (a instanceof Map && b instanceof Map) return isEqual([...a], [...b]);
  if (ArrayBuffer.isView(a) || Array.isArray(a)) {
    const [left, right] = [indexed(a), indexed(b)];
    if (left.length !== right.length) return false;
    for (let i = 0; i < left.length; i++) if (!isEqual(left[i], right[i])) return false;
    return true;
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => isEqual(left[key], right[key]));
}

/** Whether `call` throws what is wanted: anything, an error of a class, or one whose message has a text. */
function throws(call: unknown, wanted?: RegExp | string | (new (...args: never[]) => Error)): boolean {
  try {
    (call as () => unknown)();
  } catch (error) {
    if (wanted === undefined) return true;
    if (typeof wanted === "function") return error instanceof wanted;
    const { message } = error as Error;
    return typeof wanted === "string" ? message.includes(wanted) : wanted.test(message);
  }
  return false;
}

function hasItem(container: unknown, item: unknown): boolean {
  if (typeof container === "string") return container.includes(String(item));
  return [...(container as Iterable<unknown>)].includes(item);
}

function hasEqual(container: Iterable<unknown>, item: unknown): boolean {
  return [...container].some((one) => isEqual(one, item));
}

const matchers: Readonly<Record<string, (got: never, wanted: never, digits?: number) => boolean>> = {
  toBe: (got, wanted) => Object.is(got, wanted),
  toEqual: isEqual,
  toThrow: throws,
  toContain: hasItem,
  toContainEqual: hasEqual,
  toMatch: (got: string, wanted: RegExp) => wanted.test(got),
  toHaveLength: (got: ArrayLike<unknown>, wanted: number) => got.length === wanted,
  toBeLessThan: (got: number, wanted: number) => got < wanted,
  toBeLessThanOrEqual: (got: number, wanted: number) => got <= wanted,
  toBeGreaterThan: (got: number, wanted: number) => got > wanted,
  toBeGreaterThanOrEqual: (got: number, wanted: number) => got >= wanted,
  toBeCloseTo: (got: number, wanted: number, digits = 2) => Math.abs(got - wanted) < 10 ** -digits / 2,
  toBeInstanceOf: (got, wanted) => (got as unknown) instanceof (wanted as unknown as new () => unknown),
  toBeDefined: (got) => got !== undefined,
};

type Expectation = Readonly<Record<string, (...wanted: unknown[]) => void>>;

function expectation(got: unknown, isNegated: boolean): Expectation {
  return new Proxy(
    {},
    {
      get(_, name: string) {
        if (name === "not") return expectation(got, !isNegated);
        const matcher = matchers[name];
        if (!matcher) throw new Error(`page-vitest.ts has no matcher ${name}: add it`);
        return (...wanted: unknown[]) => {
          if (matcher(got as never, wanted[0] as never, wanted[1] as number | undefined) === isNegated)
            throw new Error(`expected ${show(got)} ${isNegated ? "not " : ""}${name} ${show(wanted[0])}`);
        };
      },
    },
  );
}

export function expect(got: unknown): Expectation {
  return expectation(got, false);
}

expect.stringMatching = (wanted: RegExp): Fitting => new Fitting((got) => typeof got === "string" && wanted.test(got));
expect.arrayContaining = (wanted: readonly unknown[]): Fitting =>
  new Fitting((got) => Array.isArray(got) && wanted.every((item) => hasEqual(got, item)));

async function outcome({ body, isSkipped }: Case): Promise<{ status: PageResult["status"]; error: string }> {
  if (isSkipped) return { status: "skipped", error: "" };
  try {
    await body();
    return { status: "passed", error: "" };
  } catch (error) {
    return { status: "failed", error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Runs what was collected. */
export async function runCollected(): Promise<PageResult[]> {
  const results: PageResult[] = [];
  const begun = new Set<Scope>();
  for (const one of cases) {
    for (const scope of one.scopes) {
      if (begun.has(scope) || one.isSkipped) continue;
      begun.add(scope);
      for (const body of scope.before) await body();
    }
    const name = [...one.scopes.map((scope) => scope.name).filter(Boolean), one.name].join(" > ");
    results.push({ name, ...(await outcome(one)) });
  }
  for (const scope of begun) for (const body of scope.after) await body();
  return results;
}
