/**
 * What this machine's WebAssembly can do: plain SIMD, relaxed SIMD, and how exact the relaxed integer
 * dot product is. The relaxed instruction reads its second operand as signed or unsigned, and may
 * saturate, as the processor likes; one call on extreme operands tells which, so that only kernels
 * that are exact here are ever chosen.
 */

import type { DotClass } from "../kernels/qgemm/variant.ts";
import type { KernelExports } from "./generated/exports.ts";

export type { DotClass };

/** A function body that splats three v128 values and applies one SIMD instruction to them. */
function validates(opcode: readonly number[], operands: number): boolean {
  const operand = [0x41, 0x00, 0xfd, 0x0f]; // i32.const 0, i8x16.splat
  const code = [0x00, ...Array.from({ length: operands }, () => operand).flat(), ...opcode, 0x0b];
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const types = [0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b]; // () -> v128
  const functions = [0x03, 0x02, 0x01, 0x00];
  const body = [0x0a, code.length + 2, 0x01, code.length, ...code];
  return WebAssembly.validate(new Uint8Array([...header, ...types, ...functions, ...body]));
}

/** Whether 128-bit SIMD exists (i8x16.add validates). The engine cannot work without. */
export function hasSimd(): boolean {
  return validates([0xfd, 0x6e], 2);
}

/** Whether relaxed SIMD exists (i32x4.relaxed_dot_i8x16_i7x16_add_s validates). */
export function hasRelaxedSimd(): boolean {
  return validates([0xfd, 0x93, 0x02], 3);
}

/** Four products of `weight * activation`, as the machine at hand computes them. */
function dotOf(kernels: KernelExports, bytes: Uint8Array, at: number, weight: number, activation: number): number {
  bytes.fill(weight & 255, at, at + 16).fill(activation, at + 16, at + 32);
  return kernels.probe_relaxed_dot(at);
}

/**
 * Runs the relaxed dot product on extreme operands and names what it did. `bytes` is a view of the
 * whole memory; 32 bytes at `at` are overwritten. The simd build answers `unusable`.
 */
export function probeDot(kernels: KernelExports, bytes: Uint8Array, at: number): DotClass {
  const four = (weight: number, activation: number): number => 4 * weight * activation;
  if (dotOf(kernels, bytes, at, 127, 127) !== four(127, 127)) return "unusable";
  if (dotOf(kernels, bytes, at, -128, 127) !== four(-128, 127)) return "unusable";
  const high = dotOf(kernels, bytes, at, 127, 255);
  const low = dotOf(kernels, bytes, at, -128, 255);
  if (high === four(127, 255) && low === four(-128, 255)) return "u8-exact";
  if (high === four(127, -1) && low === four(-128, -1)) return "signed";
  if (high === 2 * 32767 && low === 2 * -32768) return "saturating";
  return "unusable";
}
