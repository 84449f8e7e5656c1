// An XML schema for the package's metadata types, made from the declarations of @salesforce/types.
// The declarations are the Metadata WSDL as TypeScript, so the schema is Salesforce's own opinion, at API 66.
// Child elements may come in any order, as the Metadata API takes them; rules/source-format.mjs keeps them together.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { TYPES } from "./types.mjs";

const NAMESPACE = "http://soap.sforce.com/2006/04/metadata";
const PRIMITIVES = {
  string: "xs:string",
  boolean: "xs:boolean",
  number: "xs:double",
  Date: "xs:string",
  ID: "xs:string",
};
const DECLARATIONS = createRequire(import.meta.url)
  .resolve("@salesforce/types/metadata")
  .replace(/\.js$/, ".d.ts");

let cached;

/** Declared types: name → { base, fields: [{ name, type, many, optional }] } or { values: [...] }. */
export function declarations() {
  if (cached) return cached;
  cached = new Map();
  const source = readFileSync(DECLARATIONS, "utf8");
  for (const [, name, base, body] of source.matchAll(/^export type (\w+) = (?:(\w+) & )?\{\n([\s\S]*?)^\};/gm)) {
    const fields = [...body.matchAll(/^ {4}(\w+)(\?)?: (\w+)(\[\])?;$/gm)];
    const read = ([, field, optional, type, many]) => ({
      name: field,
      type,
      many: Boolean(many),
      optional: Boolean(optional || many),
    });
    cached.set(name, { base, fields: fields.map(read) });
  }
  for (const [, name, union] of source.matchAll(/^export type (\w+) = ('[^;]*');$/gm)) {
    cached.set(name, { values: [...union.matchAll(/'([^']*)'/g)].map(([, value]) => value) });
  }
  return cached;
}

/** All fields of a type, those of its bases first. */
export function fieldsOf(name) {
  const { base, fields } = declarations().get(name);
  return base ? [...fieldsOf(base), ...fields] : fields;
}

export function metadataSchema() {
  const reached = new Set(TYPES.map((type) => type.root));
  const parts = [];
  for (const name of reached) {
    const declared = declarations().get(name);
    if (!declared) throw new Error(`@salesforce/types declares no type \`${name}\``);
    if (declared.values) {
      parts.push(`<xs:simpleType name="${name}"><xs:restriction base="xs:string">`);
      parts.push(
        ...declared.values.map((value) => `<xs:enumeration value="${value}"/>`),
        "</xs:restriction></xs:simpleType>",
      );
      continue;
    }
    parts.push(`<xs:complexType name="${name}"><xs:choice minOccurs="0" maxOccurs="unbounded">`);
    for (const field of fieldsOf(name)) {
      if (!PRIMITIVES[field.type]) reached.add(field.type);
      parts.push(`<xs:element name="${field.name}" type="${PRIMITIVES[field.type] ?? `m:${field.type}`}"/>`);
    }
    parts.push("</xs:choice></xs:complexType>");
  }
  const roots = TYPES.map(({ root }) => `<xs:element name="${root}" type="m:${root}"/>`);
  return `<?xml version="1.0"?><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:m="${NAMESPACE}"
    targetNamespace="${NAMESPACE}" elementFormDefault="qualified">${roots.join("")}${parts.join("")}</xs:schema>`;
}
