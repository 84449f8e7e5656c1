// Every metadata file is well-formed and valid after the Metadata API's own types: no unknown element, no unknown
// value of an enumeration, no text where a number belongs, nothing required left out, nothing single given twice.
import { validateXML } from "xmllint-wasm";
import { declarations, fieldsOf, metadataSchema } from "../lib/schema.mjs";

export const name = "xml-schema";
export const reads = (path) => path.endsWith("-meta.xml");

let schema;

export async function run({ tree, model }) {
  const files = [...tree.files].filter(([path]) => reads(path)).map(([path, text]) => ({ path, text }));
  return [...(await validate(files)), ...countProblems(model.documents)];
}

/** Problems of some files: [{ path, text }]. */
export async function validate(files) {
  if (files.length === 0) return [];
  schema ??= metadataSchema();
  const xml = files.map(({ text }, place) => ({ fileName: `f${place}.xml`, contents: text }));
  const { errors } = await validateXML({ xml, schema });
  return errors.map(({ loc, message }) => {
    const place = /^f(\d+)\.xml$/.exec(loc?.fileName ?? "")?.[1];
    const where = place === undefined ? "" : `${files[place].path}:${loc.lineNumber}: `;
    return `${where}${message.replaceAll("{http://soap.sforce.com/2006/04/metadata}", "")}`;
  });
}

/** How often an element may come; the schema, free in its order, cannot say that. */
export function countProblems(documents) {
  const problems = [];
  for (const { element, type, path } of documents) counted(element, type, path, problems);
  return problems;
}

function counted(element, type, path, problems) {
  if (!declarations().get(type)?.fields) return;
  for (const field of fieldsOf(type)) {
    const found = element.all(field.name);
    if (found.length > 1 && !field.many)
      problems.push(`${path}: <${field.name}> comes ${found.length} times in <${element.name}>`);
    if (found.length === 0 && !field.optional) problems.push(`${path}: <${element.name}> lacks <${field.name}>`);
    for (const child of found) counted(child, field.type, path, problems);
  }
}
