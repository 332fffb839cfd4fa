/**
 * The words of a graph's text, found by one pattern in one sweep: models are read when a program starts, where looking
 * at every character with code that has not run before takes most of the time.
 */

import { GraphError } from "../errors.ts";

/**
 * In this order: the graph and its name, the end of a line with the comment before it, a string, a list of numbers,
 * the name of a value, any other name or number, and what else is not blank.
 */
const WORD =
  /graph @[^(\n]*|(?: {2}\/\/[^"\n]*)?(?:\n|$)|"(?:[^"\\\n]|\\.)*"|\[[-+.,\deE]*\]|%\w+|-?[\w.][-+.:\w]*|[^ ]/gm;

/** Undoes printData's spelling of numbers JSON lacks. */
const SPECIAL = /^\$(-?Infinity|NaN|-0)$/;

/** A cursor over the words of a text. */
export class Words {
  private readonly text: string;
  private readonly words: readonly string[];
  private at = 0;

  constructor(text: string) {
    this.text = text;
    this.words = text.match(WORD) ?? [];
  }

  get isAtEnd(): boolean {
    return this.at >= this.words.length;
  }

  /** The word here; empty at the end of the text. */
  get word(): string {
    return this.words[this.at] ?? "";
  }

  /** @throws GraphError about the word `back` words ago. */
  fail(wanted: string, back = 0): never {
    const found = [...this.text.matchAll(WORD)][this.at - back];
    const before = this.text.slice(0, found?.index).split("\n");
    const [line, column] = [before.length, before.at(-1)!.length + 1];
    throw new GraphError(
      "parse",
      { line, column, text: this.text.split("\n")[line - 1]!.trim() },
      `expected ${wanted}`,
    );
  }

  next(): string {
    return this.words[this.at++] ?? "";
  }

  /** Whether `word` is here; if so it is taken. */
  take(word: string): boolean {
    if (this.words[this.at] !== word) return false;
    this.at++;
    return true;
  }

  expect(word: string): void {
    if (!this.take(word)) this.fail(word);
  }

  get isLineEnd(): boolean {
    const { word } = this;
    return word === "" || word.endsWith("\n") || word.startsWith("  //");
  }

  /** Takes the end of a line. */
  lineEnd(): void {
    if (!this.isLineEnd) this.fail("the end of the line");
    this.at++;
  }

  /** One item or more, with commas between them. */
  items<T>(item: () => T): T[] {
    const items = [item()];
    while (this.take(",")) items.push(item());
    return items;
  }

  /** Items and the word behind them; there may be none. */
  list<T>(end: string, item: () => T): T[] {
    if (this.take(end)) return [];
    const items = this.items(item);
    this.expect(end);
    return items;
  }

  /** A value's name, without its mark. */
  name(): string {
    const word = this.next();
    return word.startsWith("%") ? word.slice(1) : this.fail("a value name", 1);
  }

  /** A JSON value. */
  data(): unknown {
    const word = this.next();
    if (word === "[") return this.list("]", () => this.data());
    if (word === "{") return Object.fromEntries(this.list("}", () => this.member()));
    try {
      const value: unknown = JSON.parse(word);
      const special = typeof value === "string" && value.startsWith("$") && SPECIAL.exec(value);
      return special ? Number(special[1]) : value;
    } catch {
      return this.fail("a JSON value", 1);
    }
  }

  string(): string {
    const value = this.data();
    return typeof value === "string" ? value : this.fail("a string", 1);
  }

  private member(): [string, unknown] {
    const key = this.string();
    this.expect(":");
    return [key, this.data()];
  }
}
