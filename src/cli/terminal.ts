/**
 * What commands print: results on stdout, progress and remarks on stderr.
 *
 * On a terminal progress is a bar with rate and time left; in a log it is a line every few seconds.
 */

import cliProgress from "cli-progress";
import type { CommonFlags } from "./options.ts";

const LINE_EVERY_MS = 5000;

export function duration(seconds: number): string {
  if (seconds < 0.0995) return `${(seconds * 1000).toPrecision(2)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds + 0.5);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
}

export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toPrecision(3)} ${units[power]!}`;
}

/** 1234567 → 1,234,567. */
export function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

export interface Progress {
  update(done: number): void;
  stop(): void;
}

const silent: Progress = { update: () => undefined, stop: () => undefined };

function rateText(done: number, seconds: number): string {
  const rate = done / Math.max(seconds, 1e-3);
  return `${rate >= 100 ? grouped(Math.floor(rate)) : rate.toPrecision(2)}/s`;
}

class Bar implements Progress {
  private readonly bar: cliProgress.SingleBar;
  private readonly started = performance.now();

  constructor(label: string, total: number, unit: string) {
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
    this.bar.start(total, 0, { rate: "", left: "" });
  }

  update(done: number): void {
    const seconds = (performance.now() - this.started) / 1000;
    const left = (seconds / Math.max(done, 1)) * (this.bar.getTotal() - done);
    this.bar.update(done, { rate: rateText(done, seconds), left: `${duration(left)} left` });
  }

  stop(): void {
    this.bar.stop();
  }
}

/** For logs, and where nobody knows the total. */
class Lines implements Progress {
  private readonly started = performance.now();
  private printed = performance.now();
  private readonly label: string;
  private readonly total: number | null;
  private readonly unit: string;
  private readonly inPlace: boolean;

  constructor(label: string, total: number | null, unit: string, inPlace: boolean) {
    this.label = label;
    this.total = total;
    this.unit = unit;
    this.inPlace = inPlace;
  }

  update(done: number): void {
    const now = performance.now();
    if (now - this.printed < (this.inPlace ? 100 : LINE_EVERY_MS)) return;
    this.printed = now;
    const seconds = (now - this.started) / 1000;
    const of = this.total === null ? "" : `/${this.total}`;
    const left = this.total === null ? "" : `, ${duration((seconds / Math.max(done, 1)) * (this.total - done))} left`;
    const text = `${this.label} ${done}${of} ${this.unit}, ${rateText(done, seconds)}${left}`;
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

  progress(label: string, total: number | null, unit = "samples"): Progress {
    if (this.quiet) return silent;
    const tty = process.stderr.isTTY;
    return tty && total !== null ? new Bar(label, total, unit) : new Lines(label, total, unit, tty);
  }
}

/** JSON has no infinities: they become null. */
function replaceNonFinite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}
