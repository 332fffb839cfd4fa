/** Pages that show what an example prints: their boxes are its lines, whole, and no other. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");

const BOX = /```\n([^`]*)\n```/g;

describe.each(["what-stubs-do", "looking-inside"])("%s.md", (name) => {
  const example = path.join(root, `examples/${name}.ts`);
  const printed = execFileSync(process.execPath, ["--conditions=fewbit-source", example], {
    cwd: root,
    encoding: "utf8",
  }).trimEnd();
  const page = readFileSync(path.join(root, `docs/${name}.md`), "utf8");
  const boxes = [...page.matchAll(BOX)].map((match) => match[1]!);

  test("every box stands in what the example prints", () => {
    expect(boxes.length).toBeGreaterThanOrEqual(6);
    for (const box of boxes) expect(`\n${printed}\n`).toContain(`\n${box}\n`);
  });

  test("every line the example prints stands in a box", () => {
    const shown = boxes.flatMap((box) => box.split("\n"));
    expect(shown.sort()).toEqual(printed.split("\n").sort());
  });

  test("numbers in the text are in the boxes too", () => {
    const numbers = [...page.replace(BOX, "").matchAll(/-?\d+\.\d+/g)].map((match) => match[0]);
    for (const number of numbers) expect(printed).toContain(number);
  });
});

describe("what-stubs-do.md", () => {
  const page = readFileSync(path.join(root, "docs/what-stubs-do.md"), "utf8");
  /** Decibels that a doubled step costs, as the page says, and how far the run may be from it. */
  const DOUBLED_STEP = 6;
  const ROUNDING = 0.5;

  test("a step twice as wide costs what the page says", () => {
    const [, x86, qnnpack] = /quant, x86 ([\d.]+) dB, qnnpack ([\d.]+) dB/.exec(page)!;
    expect(Math.abs(Number(qnnpack) - Number(x86) - DOUBLED_STEP)).toBeLessThan(ROUNDING);
    expect(page).toContain(`costs ${DOUBLED_STEP} dB`);
  });

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
});
