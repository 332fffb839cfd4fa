/** How fast work goes and how long it will take, by what was done since it began. */

import { duration, grouped } from "./numbers-text.ts";

export class Pace {
  readonly total: number | null;
  private readonly from: number;
  private readonly started = performance.now();

  constructor(total: number | null, from: number) {
    this.total = total;
    this.from = from;
  }

  /** Both are empty while nothing is known, the time left in the end too. */
  at(done: number): { readonly rate: string; readonly left: string } {
    const seconds = (performance.now() - this.started) / 1000;
    const rate = (done - this.from) / seconds;
    if (!(rate > 0) || !Number.isFinite(rate)) return { rate: "", left: "" };
    const left = this.total === null || done >= this.total ? null : (this.total - done) / rate;
    return {
      rate: `${rate < 9.95 ? rate.toPrecision(2) : grouped(Math.floor(rate))}/s`,
      left: left === null ? "" : left < 1 ? "under 1 s left" : `${duration(left)} left`,
    };
  }
}
