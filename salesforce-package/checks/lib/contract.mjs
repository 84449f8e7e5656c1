// The package as other programs see it: what contract.json holds, and readings shared by rules.
import { dataObjects, events, settings } from "./model.mjs";

/** Reasons no flow gives: the publisher's own default, and what a customer's job may say. */
const OTHER_REASONS = ["Manual", "Backfill"];

/** IDs in one event, as the Apex cuts them. */
export function recordIdsMax(model) {
  return model.classes.find((apex) => apex.name === "SyncRequestPublisher")?.constants?.get("RECORD_IDS_MAX");
}

/** Object → rights, in alphabetical order. */
export function grants(permissionSet) {
  const rights = {
    allowCreate: "create",
    allowDelete: "delete",
    allowEdit: "edit",
    modifyAllRecords: "modify_all",
    allowRead: "read",
    viewAllRecords: "view_all",
    viewAllFields: "view_all_fields",
  };
  const entries = permissionSet.all("objectPermissions").map((entry) => {
    const given = Object.entries(rights)
      .filter(([element]) => entry.is(element))
      .map(([, right]) => right);
    return [entry.value("object"), given.sort()];
  });
  return Object.fromEntries(entries.sort());
}

/** Fields of the triggering record whose change starts a flow. */
export function watchedFields(flow) {
  const formula = flow.element.value("start/filterFormula") ?? "";
  return [...formula.matchAll(/ISCHANGED\(\s*\{!\$Record\.(\w+)\}\s*\)/g)].map(([, field]) => field);
}

/** Texts a flow may give as reason: the string literals of its formula "Reason". */
export function reasons(flow) {
  const formula = flow.element.all("formulas").find((resource) => resource.value("name") === "Reason");
  return [...(formula?.value("expression") ?? "").matchAll(/"([^"]+)"/g)].map(([, text]) => text);
}

/** Version of the package itself, such as 1.2.0. */
function versionOf(project) {
  const directory = project.packageDirectories.find((directory) => directory.default);
  return directory.versionNumber.split(".").slice(0, 3).join(".");
}

export function contract(tree, model) {
  const project = JSON.parse(tree.files.get("sfdx-project.json"));
  const packaged = model.flows.filter((flow) => flow.packaged);
  const named = (list, value) => Object.fromEntries(list.map((item) => [item.name, value(item)]));
  return {
    about: "Generated from the metadata by `npm run generate`; names are without the package's namespace.",
    contract_version: 1,
    api_version: project.sourceApiVersion,
    package_version: versionOf(project),
    objects: named(dataObjects(model), (object) => ({
      external_id: keyOf(object),
      fields: { Name: nameField(object), ...fieldsOf(object) },
    })),
    events: named(events(model), (event) => ({
      channel: `/event/${event.name}`,
      publish_behavior: event.element.value("publishBehavior"),
      record_ids_max: recordIdsMax(model),
      reasons: [...new Set([...packaged.flatMap(reasons), ...OTHER_REASONS])],
      fields: fieldsOf(event),
    })),
    custom_settings: named(settings(model), (setting) => ({
      type: setting.element.value("customSettingsType"),
      fields: fieldsOf(setting),
    })),
    flows: named(packaged, (flow) => ({
      object: flow.element.value("start/object"),
      watched: watchedFields(flow),
      reasons: reasons(flow),
    })),
    permission_sets: named(model.permissionSets, coverage),
    companion_permission_sets: named(model.companions, coverage),
  };
}

function keyOf(object) {
  return [...object.fields.values()].find((field) => field.externalId)?.name ?? null;
}

/** A Text name field holds 80 characters; an empty one is filled with the record's ID. */
function nameField(object) {
  return {
    type: object.element.one("nameField")?.value("type"),
    length: 80,
    required: false,
    unique: false,
    external_id: false,
  };
}

function fieldsOf(object) {
  const sorted = [...object.fields.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return Object.fromEntries(sorted.map((field) => [field.name, fieldEntry(field)]));
}

function fieldEntry(field) {
  const entry = { type: field.type };
  // A TextArea has no <length> in metadata; it always holds 255.
  const fixed = { TextArea: 255, Url: 255, Phone: 40, Email: 80 }[field.type];
  if (field.length ?? fixed) entry.length = field.length ?? fixed;
  if (field.precision !== undefined) Object.assign(entry, { precision: field.precision, scale: field.scale });
  if (field.referenceTo)
    Object.assign(entry, { reference_to: field.referenceTo, relationship: field.relationshipName });
  if (field.picklist.length > 0) Object.assign(entry, { restricted: field.restricted, values: field.picklist });
  Object.assign(entry, { required: field.required, unique: field.unique, external_id: field.externalId });
  if (field.unique) entry.case_sensitive = field.caseSensitive;
  return entry;
}

function coverage({ element }) {
  const fields = {};
  for (const entry of element.all("fieldPermissions")) {
    const [object, field] = entry.value("field").split(".");
    fields[object] ??= { editable: [], readable: [] };
    if (entry.is("editable")) fields[object].editable.push(field);
    else if (entry.is("readable")) fields[object].readable.push(field);
  }
  const enabled = (part, key) =>
    element
      .all(part)
      .filter((entry) => entry.is("enabled"))
      .map((entry) => entry.value(key));
  return {
    objects: grants(element),
    fields,
    apex_classes: enabled("classAccesses", "apexClass"),
    custom_settings: enabled("customSettingAccesses", "name"),
    user_permissions: enabled("userPermissions", "name"),
  };
}

export function contractText(tree, model) {
  return `${JSON.stringify(contract(tree, model), null, 2)}\n`;
}
