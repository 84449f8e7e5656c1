// The packaged permission sets give the service everything, readers everything to read, and nobody more.
// A field missing in one is the commonest support case; a deploy does not notice it.
import { dataObjects, events, settings } from "../lib/model.mjs";
import { grants } from "../lib/contract.mjs";

export const name = "permission-sets";
export const reads = (path) => /\/(objects|permissionsets|classes|applications|tabs)\//.test(path);

const INTEGRATION = "Sync_Integration";
const VIEWER = "Enrichment_Viewer";
const ALL = ["create", "delete", "edit", "read", "view_all"];

export async function run({ model }) {
  const problems = [];
  const names = model.permissionSets
    .map((set) => set.name)
    .sort()
    .join(", ");
  if (names !== [VIEWER, INTEGRATION].sort().join(", "))
    problems.push(`the packaged permission sets are ${names}; ${VIEWER} and ${INTEGRATION} are expected`);
  for (const set of model.permissionSets)
    problems.push(...packagedOnly(set, model), ...fields(set, model), ...objects(set, model), ...extras(set, model));
  for (const set of model.companions) problems.push(...companion(set, model));
  return problems;
}

/** What a packaged permission set would silently lose, or must not carry. */
function* packagedOnly({ path, element }) {
  if (element.one("license"))
    yield `${path}: with a licence the set is not installed where the org does not own that licence`;
  for (const part of [
    "userPermissions",
    "customPermissions",
    "recordTypeVisibilities",
    "pageAccesses",
    "externalDataSourceAccesses",
  ]) {
    if (element.one(part))
      yield `${path}: <${part}> does not belong in a packaged set: it is lost, or goes further than it should`;
  }
  if (element.is("hasActivationRequired"))
    yield `${path}: a set that must be activated in a session gives a service nothing`;
}

function* fields({ path, name: setName, element }, model) {
  const listed = new Map();
  for (const entry of element.all("fieldPermissions")) {
    const field = entry.value("field");
    if (listed.has(field)) yield `${path}: ${field} is listed twice`;
    listed.set(field, entry);
    const [objectName, fieldName] = field.split(".");
    const object = model.objects.get(objectName);
    const known = object?.fields.get(fieldName);
    if (!object) yield `${path}: ${field}: a packaged set cannot carry fields of ${objectName}`;
    else if (object.kind === "event") yield `${path}: ${field}: events have no field-level security`;
    else if (!known) yield `${path}: ${field} does not exist`;
    else if (known.required || known.type === "MasterDetail")
      yield `${path}: ${field} is required, and a deploy refuses rights on required fields`;
    const editable = entry.is("editable");
    if (setName === INTEGRATION && !editable) yield `${path}: ${field} is not editable, so the service cannot write it`;
    if (setName === VIEWER && editable) yield `${path}: ${field} is editable for readers`;
    if (!entry.is("readable")) yield `${path}: ${field} is not readable`;
  }
  for (const object of dataObjects(model)) {
    for (const field of object.fields.values()) {
      const full = `${object.name}.${field.name}`;
      if (!field.required && !listed.has(full)) yield `${path}: ${full} is missing`;
    }
  }
}

function* objects({ path, name: setName, element }, model) {
  const given = grants(element);
  const expected = new Map(dataObjects(model).map((object) => [object.name, setName === INTEGRATION ? ALL : ["read"]]));
  if (setName === INTEGRATION) for (const event of events(model)) expected.set(event.name, ["create", "read"]);
  for (const [object, rights] of Object.entries(given)) {
    if (!model.objects.has(object))
      yield `${path}: ${object} is not ours: a packaged set loses rights on standard objects`;
    if (!expected.has(object)) yield `${path}: rights on ${object} are not expected`;
    else if (rights.join() !== expected.get(object).join())
      yield `${path}: ${object}: ${rights.join(", ") || "nothing"} instead of ${expected.get(object).join(", ")}`;
  }
  for (const object of expected.keys()) if (!(object in given)) yield `${path}: no rights on ${object}`;
}

function* extras({ path, name: setName, element }, model) {
  const on = (part, key) =>
    element
      .all(part)
      .filter((entry) => entry.value("enabled") !== "false")
      .map((entry) => entry.value(key));
  const classes = on("classAccesses", "apexClass");
  const customSettings = on("customSettingAccesses", "name");
  for (const known of classes)
    if (!model.classes.some((apex) => apex.name === known)) yield `${path}: class ${known} does not exist`;
  for (const known of customSettings)
    if (!model.objects.has(known)) yield `${path}: custom setting ${known} does not exist`;
  const tabs = element.all("tabSettings");
  const apps = element.all("applicationVisibilities");
  for (const tab of tabs)
    if (!model.tabs.some((known) => known.name === tab.value("tab")))
      yield `${path}: tab ${tab.value("tab")} does not exist`;
  for (const app of apps)
    if (!model.apps.some((known) => known.name === app.value("application")))
      yield `${path}: app ${app.value("application")} does not exist`;
  if (setName === INTEGRATION) {
    if (tabs.length + apps.length > 0)
      yield `${path}: a user with an API-only licence cannot be given a set with tabs or apps`;
    for (const apex of model.classes)
      if (apex.isInvocable && !classes.includes(apex.name)) yield `${path}: no access to class ${apex.name}`;
    for (const setting of settings(model))
      if (!customSettings.includes(setting.name)) yield `${path}: no access to ${setting.name}`;
  } else if (setName === VIEWER) {
    for (const tab of model.tabs)
      if (!tabs.some((entry) => entry.value("tab") === tab.name && entry.value("visibility") === "Visible"))
        yield `${path}: tab ${tab.name} is not visible`;
    for (const app of model.apps)
      if (!apps.some((entry) => entry.value("application") === app.name && entry.is("visible")))
        yield `${path}: app ${app.name} is not visible`;
  }
}

/** The set that is not packaged: just what the packaged one cannot carry. */
function* companion({ path, element }, model) {
  if (!element.all("userPermissions").some((entry) => entry.value("name") === "ApiEnabled" && entry.is("enabled")))
    yield `${path}: ApiEnabled is missing, without it nobody can log in by API`;
  const given = grants(element);
  for (const flow of model.flows.filter((candidate) => candidate.packaged)) {
    const object = flow.element.value("start/object");
    if (!given[object]?.includes("read"))
      yield `${path}: ${object} cannot be read, though ${flow.name} publishes its IDs`;
  }
  for (const [object, rights] of Object.entries(given)) {
    if (model.objects.has(object)) yield `${path}: ${object} belongs in a packaged set`;
    if (rights.some((right) => right === "modify_all" || right === "delete"))
      yield `${path}: ${object}: the service deletes nothing of the customer's`;
  }
}
