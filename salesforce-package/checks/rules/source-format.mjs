// Every file is one the Salesforce CLI recognises, stands where it looks, and is named as its content says.
import { identify } from "../lib/types.mjs";
import { METADATA } from "../lib/tree.mjs";

export const name = "source-format";
export const reads = (path) => METADATA.some(({ folder }) => path.startsWith(folder));

const NAME = /^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*$/;
const DESCRIBED = new Set([
  "CustomField",
  "CustomObject",
  "CustomApplication",
  "CustomTab",
  "ExternalClientApplication",
  "FlexiPage",
  "Flow",
  "PermissionSet",
]);

export async function run({ tree, model }) {
  const problems = [];
  for (const path of [...tree.files.keys()].filter(reads)) {
    if (path.endsWith(".cls")) {
      if (!tree.files.has(`${path}-meta.xml`)) problems.push(`${path}: has no ${path}-meta.xml beside it`);
    } else if (!identify(path)) {
      problems.push(`${path}: no metadata type of this package has this folder and suffix (lib/types.mjs)`);
    }
  }
  const seen = new Map();
  for (const document of model.documents) {
    problems.push(...judge(document, tree));
    const key = `${document.type} ${document.parent ?? ""} ${document.name}`;
    if (seen.has(key)) problems.push(`${document.path}: the same as ${seen.get(key)}`);
    seen.set(key, document.path);
  }
  return problems;
}

function* judge({ path, type, name: fileName, element }, tree) {
  if (element.name !== type) yield `${path}: the root is <${element.name}>, the suffix says <${type}>`;
  const fullName = element.value("fullName");
  if (fullName !== undefined && fullName !== fileName) yield `${path}: <fullName> is ${fullName}`;
  if (fullName === undefined && ["CustomField", "ListView", "CompactLayout"].includes(type))
    yield `${path}: has no <fullName>`;
  const apiName = fileName.replace(/__[ce]$/, "");
  if (type !== "Layout" && (!NAME.test(apiName) || apiName.length > 40)) {
    yield `${path}: ${apiName} is no API name of at most 40 characters`;
  }
  if (DESCRIBED.has(type) && !element.value("description")) yield `${path}: has no <description>`;
  if (type === "ApexClass" && !tree.files.has(path.replace(/-meta\.xml$/, ""))) yield `${path}: its class is missing`;
  for (const inner of element.walk()) {
    const scattered = firstScattered(inner);
    // A deploy refuses such a file: the element "is duplicated at this location".
    if (scattered) yield `${path}: the <${scattered}> of <${inner.name}> do not stand together`;
  }
}

function firstScattered(element) {
  const closed = new Set();
  let last;
  for (const { name: child } of element.children) {
    if (child !== last && closed.has(child)) return child;
    closed.add(child);
    last = child;
  }
  return undefined;
}
