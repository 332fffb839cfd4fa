/**
 * Attributes of ONNX nodes: as protobuf messages while a file is read, as plain data in a graph.
 *
 * Plain data is one of {int}, {ints}, {float}, {floats}, {string}, {strings}; anything else (tensors, subgraphs) is
 * kept as the base64 of its message, so that a graph prints, parses and exports it unchanged.
 */

import { OnnxError } from "../errors.ts";
import type { AttrValue, Attrs } from "../ops/op.ts";
import { createMessage, decodeMessage, encodeMessage } from "./schema.ts";
import type { AttributeProto } from "./schema.ts";

export const kinds = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 } as const;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function fromBase64(base64: string): Uint8Array {
  const binary = atob(base64);
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** The kind of value; old files leave it out, then the field that is set tells. */
export function kindOf(attribute: AttributeProto): number {
  if (attribute.type !== 0) return attribute.type;
  if (attribute.g) return kinds.graph;
  if (attribute.t) return kinds.tensor;
  if (attribute.ints.length > 0) return kinds.ints;
  if (attribute.floats.length > 0) return kinds.floats;
  if (attribute.strings.length > 0) return kinds.strings;
  if (Object.hasOwn(attribute, "i")) return kinds.int;
  if (Object.hasOwn(attribute, "f")) return kinds.float;
  return Object.hasOwn(attribute, "s") ? kinds.string : 0;
}

/** Plain data for one attribute. */
export function toPlain(attribute: AttributeProto): AttrValue {
  const ints = attribute.ints.map(Number);
  switch (kindOf(attribute)) {
    case kinds.float:
      return { float: attribute.f };
    case kinds.int:
      if (Number.isSafeInteger(Number(attribute.i))) return { int: Number(attribute.i) };
      break;
    case kinds.string:
      if (text(attribute.s) !== "" && toBase64(encoder.encode(text(attribute.s))) === toBase64(attribute.s))
        return { string: text(attribute.s) };
      break;
    case kinds.floats:
      return { floats: attribute.floats };
    case kinds.ints:
      if (ints.every(Number.isSafeInteger)) return { ints };
      break;
    case kinds.strings:
      return { strings: attribute.strings.map(text) };
  }
  return { message: toBase64(encodeMessage("AttributeProto", attribute)) };
}

export type PlainAttribute =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly string: string }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly message: string };

/** The message a plain attribute stands for. @throws FileFormatError, OnnxError for data that is none. */
export function fromPlain(name: string, plain: PlainAttribute): AttributeProto {
  if ("float" in plain) return createMessage("AttributeProto", { name, type: kinds.float, f: plain.float });
  if ("int" in plain) return createMessage("AttributeProto", { name, type: kinds.int, i: BigInt(plain.int) });
  if ("string" in plain)
    return createMessage("AttributeProto", { name, type: kinds.string, s: encoder.encode(plain.string) });
  if ("floats" in plain) return createMessage("AttributeProto", { name, type: kinds.floats, floats: plain.floats });
  if ("ints" in plain) return createMessage("AttributeProto", { name, type: kinds.ints, ints: plain.ints.map(BigInt) });
  if ("strings" in plain)
    return createMessage("AttributeProto", {
      name,
      type: kinds.strings,
      strings: plain.strings.map((s) => encoder.encode(s)),
    });
  if ("message" in plain) return decodeMessage("AttributeProto", fromBase64(plain.message));
  throw new OnnxError("attribute", { name }, "is no attribute of an ONNX node");
}

/** All attributes of a node as plain data, and back. */
export function plainAttributes(attributes: Iterable<AttributeProto>): Attrs {
  return Object.fromEntries([...attributes].map((attribute) => [attribute.name, toPlain(attribute)]));
}

export function attributeMap(plain: Attrs): Map<string, AttributeProto> {
  return new Map(Object.entries(plain).map(([name, value]) => [name, fromPlain(name, value as PlainAttribute)]));
}
