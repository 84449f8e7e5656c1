// Objects and fields obey the rules an org would apply at deploy, and those that keep a managed package workable.
import { dataObjects, events, settings } from "../lib/model.mjs";
import { recordIdsMax } from "../lib/contract.mjs";

export const name = "objects";
export const reads = (path) => path.includes("/objects/") || path.endsWith("SyncRequestPublisher.cls");

const EVENT_TYPES = new Set(["Text", "LongTextArea", "Number", "Checkbox", "Date", "DateTime"]);
const ID_LENGTH = 18;

export async function run({ model }) {
  const problems = [];
  for (const object of model.objects.values()) {
    for (const field of object.fields.values()) problems.push(...fieldProblems(field, object));
  }
  for (const object of dataObjects(model)) problems.push(...objectProblems(object));
  for (const object of settings(model)) problems.push(...settingProblems(object));
  const all = events(model);
  if (all.length !== 1)
    problems.push(
      `the package has ${all.length} platform events; each one counts in the customer's limit, so it has one`,
    );
  for (const event of all) problems.push(...eventProblems(event, recordIdsMax(model)));
  return problems;
}

function* fieldProblems(
  { path, element, type, length, precision, scale, required, unique, externalId, formula, name: fieldName },
  object,
) {
  const label = element.value("label") ?? "";
  if (label.length < 1 || label.length > 40)
    yield `${path}: the label has ${label.length} characters, 1 to 40 are allowed`;
  if ((element.value("description") ?? "").length > 1000)
    yield `${path}: the description is longer than 1000 characters`;
  if ((element.value("inlineHelpText") ?? "").length > 510)
    yield `${path}: the help text is longer than 510 characters`;
  if (!fieldName.endsWith("__c")) yield `${path}: a custom field ends in __c`;
  if (type === "Text" && !(length >= 1 && length <= 255)) yield `${path}: a Text field has a length of 1 to 255`;
  if (type === "LongTextArea") {
    if (!(length >= 256 && length <= 131072)) yield `${path}: a LongTextArea has a length of 256 to 131072`;
    if (!element.value("visibleLines")) yield `${path}: a LongTextArea needs <visibleLines>`;
  }
  if (["Number", "Currency", "Percent"].includes(type)) {
    if (!(precision >= 1 && precision <= 18 && scale >= 0 && scale <= precision))
      yield `${path}: precision ${precision} and scale ${scale} do not fit: 1 to 18 digits, of them 0 to all behind the point`;
  }
  if (type === "Checkbox" && element.value("defaultValue") !== "false")
    yield `${path}: a Checkbox defaults to false, so that no row means the same as an empty one`;
  if (["Checkbox", "LongTextArea"].includes(type) && (element.one("unique") || element.one("required")))
    yield `${path}: a ${type} takes neither <required> nor <unique>, not even as false`;
  if (unique && !externalId) yield `${path}: unique without External ID`;
  if (unique && type === "Text" && element.value("caseSensitive") === undefined)
    yield `${path}: a unique Text field needs <caseSensitive>`;
  if (type === "Lookup") {
    if (!element.value("relationshipName")) yield `${path}: a Lookup needs <relationshipName>`;
    if (element.value("deleteConstraint") !== "SetNull")
      yield `${path}: a Lookup to a customer's record must let it be deleted: <deleteConstraint>SetNull`;
  }
  // A detail of a standard object loses its packaged object permissions; a required field added later breaks upgrades.
  if (type === "MasterDetail")
    yield `${path}: a packaged permission set carries no rights on a detail of a standard object: make it a Lookup`;
  if (type === "AutoNumber" || formula)
    yield `${path}: ${formula ? "a formula" : "an auto-number"} cannot be written, and everything here is written by the service`;
  if (required && object.kind === "object" && !externalId)
    yield `${path}: only the external ID is required: a look-up may know anything else or nothing`;
}

function* objectProblems({ path, element, fields, name: objectName }) {
  const keys = [...fields.values()].filter((field) => field.externalId);
  if (keys.length !== 1) yield `${path}: ${keys.length} external IDs; the service upserts by exactly one`;
  for (const key of keys) {
    if (!(key.type === "Text" && key.unique && key.required && !key.caseSensitive)) {
      yield `${key.path}: an upsert key is Text, unique, required and not case-sensitive`;
    }
  }
  if (element.one("nameField")?.value("type") !== "Text")
    yield `${path}: the name field is Text; its type is for ever, and an auto-number slows bulk loads`;
  const together = ["enableBulkApi", "enableSharing", "enableStreamingApi"];
  if (!together.every((flag) => element.is(flag))) yield `${path}: ${together.join(", ")} are true together`;
  if (element.value("externalSharingModel") !== "Private")
    yield `${path}: external users see nothing unless the customer says so: <externalSharingModel>Private`;
  if (element.value("deploymentStatus") !== "Deployed") yield `${path}: <deploymentStatus> is not Deployed`;
  if (!objectName.endsWith("__c")) yield `${path}: a custom object ends in __c`;
}

function* settingProblems({ path, element, fields }) {
  if (element.value("customSettingsType") !== "Hierarchy")
    yield `${path}: the custom setting is not a Hierarchy, so it has no rows for users`;
  if (element.value("visibility") !== "Public") yield `${path}: the admin must see the switches: <visibility>Public`;
  for (const field of fields.values()) {
    if (field.type !== "Checkbox" || !field.name.startsWith("Suppress_"))
      yield `${field.path}: a switch is a Checkbox named Suppress_…, so that no row means on`;
  }
}

function* eventProblems({ path, element, fields, name: eventName }, idsMax) {
  if (element.value("eventType") !== "HighVolume") yield `${path}: <eventType> is not HighVolume`;
  if (element.value("publishBehavior") !== "PublishAfterCommit")
    yield `${path}: <publishBehavior> is not PublishAfterCommit, so readers would see records that are not there yet`;
  for (const field of fields.values()) {
    if (!EVENT_TYPES.has(field.type)) yield `${field.path}: a platform event has no ${field.type} fields`;
  }
  const ids = fields.get("Record_Ids__c");
  if (!ids) yield `${path}: ${eventName} has no Record_Ids__c`;
  else if (idsMax === undefined) yield `${path}: SyncRequestPublisher has no constant RECORD_IDS_MAX`;
  else if (!(ids.length >= idsMax * (ID_LENGTH + 1) - 1))
    yield `${ids.path}: ${idsMax} IDs and their commas do not fit in ${ids.length} characters`;
}
