/**
 * One line of progress on a terminal, rewritten in place; a line every so often when output is a file.
 */

const REPORT_EVERY_MS = 5000;

export class Progress {
  private readonly label: string;
  private readonly total: number;
  private readonly started = performance.now();
  private lastPrinted = 0;

  constructor(label: string, total: number) {
    this.label = label;
    this.total = total;
  }

  /** Shows that `done` of the total are finished, with a remark such as the loss. */
  update(done: number, remark = ""): void {
    const now = performance.now();
    const seconds = (now - this.started) / 1000;
    const left = done > 0 ? (seconds / done) * (this.total - done) : 0;
    const text = `${this.label} ${done}/${this.total}  ${seconds.toFixed(1)} s, ${left.toFixed(0)} s left  ${remark}`;
    const finished = done >= this.total;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}${finished ? "\n" : ""}`);
    else if (finished || now - this.lastPrinted > REPORT_EVERY_MS) {
      process.stderr.write(`${text}\n`);
      this.lastPrinted = now;
    }
  }
}
