/**
 * What commands print: results on stdout, progress and remarks on stderr.
 *
 * On a terminal progress is a bar with rate and time left; in a log it is a line every few seconds.
 */

import cliProgress from "cli-progress";
import type { CommonFlags } from "./options.ts";
import { Pace } from "./pace.ts";

const LINE_EVERY_MS = 5000;

export interface Progress {
  update(done: number): void;
  stop(): void;
}

const silent: Progress = { update: () => undefined, stop: () => undefined };

class Bar implements Progress {
  private readonly bar: cliProgress.SingleBar;
  private readonly pace: Pace;

  constructor(label: string, total: number, unit: string, from: number) {
    this.pace = new Pace(total, from);
    this.bar = new cliProgress.SingleBar({
      stream: process.stderr,
      format: `${label.padEnd(12)} {bar} {percentage} %  {value}/{total} ${unit}  {rate}  {left}`,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 28,
      barCompleteChar: "█",
      barIncompleteChar: "░",
      fps: 10,
    });
    this.bar.start(total, from, { rate: "", left: "" });
  }

  update(done: number): void {
    this.bar.update(done, this.pace.at(done));
  }

  stop(): void {
    this.bar.stop();
  }
}

/** For logs, and where nobody knows the total. */
class Lines implements Progress {
  private readonly pace: Pace;
  private printed = performance.now();
  private readonly label: string;
  private readonly unit: string;
  private readonly inPlace: boolean;

  constructor(label: string, total: number | null, unit: string, from: number, inPlace: boolean) {
    this.pace = new Pace(total, from);
    this.label = label;
    this.unit = unit;
    this.inPlace = inPlace;
  }

  update(done: number): void {
    const now = performance.now();
    if (now - this.printed < (this.inPlace ? 100 : LINE_EVERY_MS)) return;
    this.printed = now;
    const { rate, left } = this.pace.at(done);
    const count = `${done}${this.pace.total === null ? "" : `/${this.pace.total}`} ${this.unit}`;
    const text = `${this.label} ${[count, rate, left].filter((part) => part !== "").join(", ")}`;
    process.stderr.write(this.inPlace ? `\r\x1b[2K${text}` : `${text}\n`);
  }

  stop(): void {
    if (this.inPlace) process.stderr.write("\r\x1b[2K");
  }
}

export class Terminal {
  readonly json: boolean;
  private readonly quiet: boolean;

  constructor({ json = false, quiet = false }: CommonFlags) {
    this.json = json;
    this.quiet = quiet;
  }

  /** The result: data for programs or text for people. */
  result(data: unknown, text: () => string): void {
    process.stdout.write(this.json ? `${JSON.stringify(data, replaceNonFinite, 2)}\n` : `${text()}\n`);
  }

  /** A remark that is not part of the result. */
  note(text: string): void {
    if (!this.quiet) process.stderr.write(`${text}\n`);
  }

  /** @param from what an earlier run has done already. */
  progress(label: string, total: number | null, { unit = "samples", from = 0 } = {}): Progress {
    if (this.quiet) return silent;
    const tty = process.stderr.isTTY;
    return tty && total !== null ? new Bar(label, total, unit, from) : new Lines(label, total, unit, from, tty);
  }
}

/** JSON has no infinities: they become null. */
function replaceNonFinite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}
