/** docs/what-stubs-do.md shows what its example prints, box by box, and speaks of no number that is not printed. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");
const example = path.join(root, "examples/what-stubs-do.ts");
const printed = execFileSync(process.execPath, ["--conditions=fewbit-source", example], {
  cwd: root,
  encoding: "utf8",
}).trimEnd();
const page = readFileSync(path.join(root, "docs/what-stubs-do.md"), "utf8");

test("the boxes are what the example prints, in order and whole", () => {
  const boxes = [...page.matchAll(/```\n([^`]*)\n```/g)].map((match) => match[1]!);
  expect(boxes.length).toBeGreaterThanOrEqual(9);
  expect(boxes.join("\n")).toBe(printed);
});

test("numbers in the text are in the boxes too", () => {
  const text = page.replace(/```\n[^`]*\n```/g, "");
  const numbers = [...text.matchAll(/-?\d+\.\d+/g)].map((match) => match[0]);
  expect(numbers.length).toBeGreaterThan(0);
  for (const number of numbers) expect(printed).toContain(number);
});

/** Decibels that a doubled step costs, as the page says, and how far the run may be from it. */
const DOUBLED_STEP = 6;
const ROUNDING = 0.5;

test("a step twice as wide costs what the page says", () => {
  const [, x86, qnnpack] = /quant, x86 ([\d.]+) dB, qnnpack ([\d.]+) dB/.exec(printed)!;
  expect(Math.abs(Number(qnnpack) - Number(x86) - DOUBLED_STEP)).toBeLessThan(ROUNDING);
  expect(page).toContain(`costs ${DOUBLED_STEP} dB`);
});

/** What the page must answer. */
const questions = [
  "Which observer does a stub hold?",
  "What does it do while calibrating?",
  "What replaces it?",
  'How is "previous" decided?',
  "Why does a plain ResNet fail in eager mode?",
  "What do stubs do in QAT training, in eval after it, and after convert?",
  "How is only a part of a model fake-quantized?",
  "Why does accuracy change when the qconfig does?",
  "When should one leave eager mode for graph mode?",
];

test.each(questions)("%s is answered from a run", (question) => {
  const section = page.split(`## ${question}\n`)[1]?.split("\n## ")[0];
  expect(section).toContain("```\n");
});
