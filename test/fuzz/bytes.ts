/** Mutations of a file as bytes: flips, cuts, splices, and lengths and numbers of protobuf fields made to lie. */

import type { Choices } from "./random.ts";

/** A number in the wire format. */
interface Varint {
  readonly at: number;
  readonly size: number;
  readonly kind: "value" | "length";
}

function readVarint(bytes: Uint8Array, at: number): { value: number; size: number } | null {
  let value = 0;
  for (let size = 0; size < 10 && at + size < bytes.length; size++) {
    const byte = bytes[at + size]!;
    value += (byte & 127) * 2 ** (7 * size);
    if (byte < 128) return { value, size: size + 1 };
  }
  return null;
}

/** Numbers and lengths of a message and of what looks like messages in it. */
function varints(bytes: Uint8Array, from: number, to: number, found: Varint[], depth = 0): boolean {
  let at = from;
  const start = found.length;
  while (at < to) {
    const key = readVarint(bytes, at);
    if (!key || key.value < 8) break;
    at += key.size;
    const wire = key.value % 8;
    if (wire === 0) {
      const number = readVarint(bytes, at);
      if (!number) break;
      found.push({ at, size: number.size, kind: "value" });
      at += number.size;
    } else if (wire === 2) {
      const length = readVarint(bytes, at);
      if (!length || at + length.size + length.value > to) break;
      found.push({ at, size: length.size, kind: "length" });
      at += length.size;
      if (depth < 8) varints(bytes, at, at + length.value, found, depth + 1);
      at += length.value;
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else break;
  }
  if (at === to) return true;
  found.length = start;
  return false;
}

function encodeVarint(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    out.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(out);
}

function replace(bytes: Uint8Array, at: number, wished: number, by: Uint8Array): Uint8Array {
  const length = Math.min(wished, bytes.length - at);
  const out = new Uint8Array(bytes.length - length + by.length);
  out.set(bytes.subarray(0, at));
  out.set(by, at);
  out.set(bytes.subarray(at + length), at + by.length);
  return out;
}

const extremes = [0n, 1n, 2n, 127n, 128n, 255n, 65536n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, -1n, -2n]; // prettier-ignore

type Mutation = (bytes: Uint8Array, choices: Choices, other: Uint8Array) => Uint8Array;

const randomBytes = (choices: Choices, length: number): Uint8Array =>
  Uint8Array.from({ length }, () => choices.below(256));

const mutations: readonly Mutation[] = [
  function flipBits(bytes, choices) {
    const out = bytes.slice();
    for (let i = 0; i <= choices.below(8); i++) out[choices.below(out.length)]! ^= 1 << choices.below(8);
    return out;
  },
  function setBytes(bytes, choices) {
    const out = bytes.slice();
    for (let i = 0; i <= choices.below(4); i++) out[choices.below(out.length)] = choices.of([0, 1, 127, 128, 255, choices.below(256)]); // prettier-ignore
    return out;
  },
  function truncate(bytes, choices) {
    return bytes.slice(0, choices.below(bytes.length));
  },
  function remove(bytes, choices) {
    const at = choices.below(bytes.length);
    return replace(bytes, at, Math.min(choices.below(32), bytes.length - at), new Uint8Array());
  },
  function repeat(bytes, choices) {
    const at = choices.below(bytes.length);
    return replace(bytes, at, 0, bytes.slice(at, at + choices.below(64)));
  },
  function insert(bytes, choices) {
    return replace(bytes, choices.below(bytes.length), 0, randomBytes(choices, choices.below(16)));
  },
  function splice(bytes, choices, other) {
    return replace(bytes, choices.below(bytes.length), choices.below(16), other.slice(choices.below(other.length)));
  },
  function editNumber(bytes, choices) {
    const found: Varint[] = [];
    varints(bytes, 0, bytes.length, found);
    if (found.length === 0) return bytes;
    const { at, size } = choices.of(found);
    return replace(bytes, at, size, encodeVarint(choices.of(extremes)));
  },
  function editLength(bytes, choices) {
    const found: Varint[] = [];
    varints(bytes, 0, bytes.length, found);
    const lengths = found.filter(({ kind }) => kind === "length");
    if (lengths.length === 0) return bytes;
    const { at, size } = choices.of(lengths);
    const { value } = readVarint(bytes, at)!;
    return replace(bytes, at, size, encodeVarint(BigInt(Math.max(0, value + choices.below(9) - 4))));
  },
];

/** One to three mutations of a file; `other` is spliced in. */
export function mutateBytes(bytes: Uint8Array, choices: Choices, other: Uint8Array): Uint8Array {
  let out = bytes;
  for (let i = 0; i <= choices.below(3) && out.length > 0; i++) out = choices.of(mutations)(out, choices, other);
  return out;
}
