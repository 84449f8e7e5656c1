// What the files say: objects with their fields, permission sets, flows, screens, classes.
// Here: reading them into one model. Not here: any judgement (rules/).
import { identify } from "./types.mjs";
import { METADATA } from "./tree.mjs";
import { parseXml } from "./xml.mjs";
import { readApex } from "./apex.mjs";

export function readModel(tree) {
  const documents = [];
  for (const [path, text] of tree.files) {
    const place = METADATA.find(({ folder }) => path.startsWith(folder));
    const identity = place && path.endsWith("-meta.xml") && identify(path);
    if (!identity) continue;
    const { type, name, parent } = identity;
    documents.push({ path, type: type.root, name, parent, packaged: place.packaged, element: parseXml(text) });
  }
  const of = (type) => documents.filter((document) => document.type === type);
  const objects = new Map(of("CustomObject").map((document) => [document.name, readObject(document, documents)]));
  return {
    documents,
    objects,
    permissionSets: of("PermissionSet").filter((set) => set.packaged),
    companions: of("PermissionSet").filter((set) => !set.packaged),
    flows: of("Flow"),
    layouts: of("Layout"),
    pages: of("FlexiPage"),
    tabs: of("CustomTab"),
    apps: of("CustomApplication"),
    classes: readApex(tree, of("ApexClass")),
  };
}

/** Objects that hold records: neither event nor setting. */
export function dataObjects(model) {
  return [...model.objects.values()].filter((object) => object.kind === "object");
}

export function events(model) {
  return [...model.objects.values()].filter((object) => object.kind === "event");
}

export function settings(model) {
  return [...model.objects.values()].filter((object) => object.kind === "setting");
}

function readObject(document, documents) {
  const { element, name, path } = document;
  const children = (type) => documents.filter((child) => child.type === type && child.parent === name);
  const fields = children("CustomField").map((child) => [child.name, readField(child)]);
  return {
    name,
    path,
    element,
    kind: name.endsWith("__e") ? "event" : element.value("customSettingsType") ? "setting" : "object",
    fields: new Map(fields),
    listViews: children("ListView"),
    compactLayouts: children("CompactLayout"),
  };
}

function readField({ name, path, element }) {
  const number = (key) => (element.value(key) === undefined ? undefined : Number(element.value(key)));
  const values = element.one("valueSet")?.one("valueSetDefinition")?.all("value") ?? [];
  return {
    name,
    path,
    element,
    type: element.value("type"),
    length: number("length"),
    precision: number("precision"),
    scale: number("scale"),
    required: element.is("required"),
    unique: element.is("unique"),
    caseSensitive: element.is("caseSensitive"),
    externalId: element.is("externalId"),
    formula: element.value("formula"),
    referenceTo: element.value("referenceTo"),
    relationshipName: element.value("relationshipName"),
    restricted: element.one("valueSet")?.is("restricted") ?? false,
    picklist: values.map((value) => value.value("fullName")),
  };
}
