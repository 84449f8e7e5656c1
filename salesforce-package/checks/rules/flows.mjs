// The flows: every reference leads somewhere, a save of the customer's cannot fail through us, no loop can start, and
// each can be switched off by data.
import { events, settings } from "../lib/model.mjs";
import { reasons, watchedFields } from "../lib/contract.mjs";

export const name = "flows";
export const reads = (path) => /\/(flows|objects|classes)\//.test(path);

const NODES = [
  "actionCalls",
  "assignments",
  "decisions",
  "loops",
  "recordCreates",
  "recordDeletes",
  "recordLookups",
  "recordUpdates",
  "subflows",
  "transforms",
  "waits",
  "collectionProcessors",
  "customErrors",
];
const RESOURCES = ["formulas", "variables", "constants", "textTemplates", "choices", "dynamicChoiceSets", "stages"];
const ALLOWED = ["actionCalls", "assignments", "decisions", "recordCreates"];
const GLOBAL_FLOW = new Set(["CurrentDate", "CurrentDateTime", "FaultMessage", "InterviewGuid"]);
const ID = /\b[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\b/;

export async function run({ model }) {
  const problems = [];
  for (const object of ["Account", "Lead"]) {
    if (!model.flows.some((flow) => flow.packaged && flow.element.value("start/object") === object))
      problems.push(`no packaged flow starts on ${object}`);
  }
  for (const flow of model.flows) {
    const { path } = flow;
    const said = [
      ...start(flow, model),
      ...graph(flow),
      ...references(flow, model),
      ...publishing(flow, model),
      ...actions(flow, model),
    ];
    problems.push(...said.map((text) => `${path}: ${text}`));
  }
  return problems;
}

function* start({ element, packaged }, model) {
  const entry = element.one("start");
  if (element.value("processType") !== "AutoLaunchedFlow")
    yield `<processType> ${element.value("processType")}: Process Builder and workflow are at their end`;
  if (element.value("status") !== "Active") yield `is ${element.value("status")}; only an active version is packaged`;
  if (entry?.value("triggerType") !== "RecordAfterSave" || entry?.value("recordTriggerType") !== "CreateAndUpdate")
    yield "does not start after a save that creates or updates";
  const order = Number(element.value("triggerOrder"));
  if (!(order >= 1000 && order <= 2000))
    yield `<triggerOrder> ${order}: it should run after the customer's own flows (1000 to 2000)`;
  if (entry?.one("scheduledPaths")) yield "has scheduled paths: the event is published after the commit anyway";
  const formula = entry?.value("filterFormula") ?? "";
  if (!/\bISNEW\(\)/.test(formula) || watchedFields({ element }).length === 0)
    yield "the entry formula does not look at ISNEW() and ISCHANGED(…) of watched fields, so every save would count";
  const object = entry?.value("object");
  for (const setting of settings(model)) {
    const switches = packaged ? ["Suppress_All__c", `Suppress_${object}__c`] : ["Suppress_All__c"];
    for (const field of switches) {
      if (!formula.includes(`NOT({!$Setup.${setting.name}.${field}})`))
        yield `the entry formula does not stop at ${setting.name}.${field}: that switch breaks loops`;
    }
  }
  let depth = 0;
  for (const letter of formula) {
    depth += { "(": 1, ")": -1 }[letter] ?? 0;
    if (depth < 0) break;
  }
  if (depth !== 0) yield "the brackets of the entry formula do not match";
  for (const variable of element.all("variables"))
    if (variable.is("isInput"))
      yield `variable ${variable.value("name")} is an input: any code in the org could set it`;
}

function* graph({ element }) {
  const nodes = new Map(NODES.flatMap((type) => element.all(type)).map((node) => [node.value("name"), node]));
  for (const type of NODES)
    if (!ALLOWED.includes(type) && element.one(type))
      yield `<${type}>: a flow of this package neither queries nor changes records`;
  const targets = (node) => [...node.walk()].filter((part) => part.name === "targetReference").map((part) => part.text);
  const reached = new Set();
  const open = element.one("start") ? targets(element.one("start")) : [];
  if (open.length === 0) yield "starts nowhere";
  while (open.length > 0) {
    const target = open.pop();
    if (reached.has(target)) continue;
    reached.add(target);
    if (nodes.has(target)) open.push(...targets(nodes.get(target)));
    else yield `a connector leads to ${target}, which does not exist`;
  }
  for (const node of nodes.keys()) if (!reached.has(node)) yield `element ${node} is never reached`;
  for (const type of ["actionCalls", "recordCreates"]) {
    for (const node of element.all(type))
      if (!node.one("faultConnector"))
        yield `${node.value("name")} has no fault path: a failure would undo the customer's save`;
  }
}

/** Everything in {!…} and <elementReference> exists. Standard fields are judged by apex-ls (rules/apex-types.mjs). */
function* references({ element }, model) {
  const own = new Set([...NODES, ...RESOURCES].flatMap((type) => element.all(type)).map((part) => part.value("name")));
  const object = element.value("start/object");
  const found = [];
  for (const part of element.walk()) {
    if (["elementReference", "assignToReference", "leftValueReference"].includes(part.name)) found.push(part.text);
    for (const [, reference] of part.text.matchAll(/\{!([^}]+)\}/g)) found.push(reference);
    if (["stringValue", "expression", "filterFormula"].includes(part.name) && hasId(part.text))
      yield `a record ID stands in "${part.text}"`;
  }
  for (const reference of new Set(found)) {
    const [root, ...rest] = reference.split(".");
    if (root === "$Setup") {
      const [settingName, field] = rest;
      if (!model.objects.get(settingName)?.fields.has(field)) yield `${reference}: that setting does not exist`;
    } else if (root === "$Record" || root === "$Record__Prior") {
      const ours = model.objects.get(object);
      if (ours && rest[0]?.endsWith("__c") && !ours.fields.has(rest[0]))
        yield `${reference}: ${object} has no such field`;
      if (!ours && rest[0]?.endsWith("__c")) yield `${reference}: the package adds no fields to ${object}`;
    } else if (root === "$Flow") {
      if (!GLOBAL_FLOW.has(rest[0])) yield `${reference}: unknown value of the flow`;
    } else if (root === "$Permission") {
      yield `${reference}: the installer may grant a custom permission to everyone, so it cannot break loops`;
    } else if (root.startsWith("$")) {
      yield `${reference}: ${root} is not used in this package`;
    } else if (!own.has(root)) {
      yield `${reference}: the flow has nothing of that name`;
    }
  }
}

/** Letters and digits of a record ID's length that begin like one. */
function hasId(text) {
  const match = ID.exec(text);
  return Boolean(match && /^[0-9a-zA-Z]{3}0?[0-9]/.test(match[0]) && /\d/.test(match[0].slice(0, 5)));
}

function* publishing({ element }, model) {
  for (const create of element.all("recordCreates")) {
    const object = events(model).find((event) => event.name === create.value("object"));
    if (!object) {
      yield `creates ${create.value("object")}: a flow of this package creates events only`;
      continue;
    }
    const set = create.all("inputAssignments").map((assignment) => assignment.value("field"));
    for (const field of set) if (!object.fields.has(field)) yield `sets ${object.name}.${field}, which does not exist`;
    for (const field of object.fields.values())
      if (field.required && !set.includes(field.name))
        yield `does not set ${object.name}.${field.name}, which is required`;
  }
}

function* actions(flow, model) {
  const reasonLength = Math.max(0, ...events(model).map((event) => event.fields.get("Reason__c")?.length ?? 0));
  for (const reason of reasons(flow))
    if (reason.length > reasonLength) yield `reason "${reason}" is longer than Reason__c`;
  for (const call of flow.element.all("actionCalls")) {
    const apex = model.classes.find((known) => known.name === call.value("actionName"));
    if (call.value("actionType") !== "apex" || !apex?.isInvocable) {
      yield `calls ${call.value("actionName")}, which is no invocable class of the package`;
      continue;
    }
    const given = call.all("inputParameters");
    for (const input of given)
      if (!apex.inputs.has(input.value("name"))) yield `${apex.name} has no input ${input.value("name")}`;
    for (const [input, { required }] of apex.inputs) {
      if (required && !given.some((entry) => entry.value("name") === input))
        yield `does not give ${apex.name} its required ${input}`;
    }
    const named = given.find((input) => input.value("name") === "objectType")?.value("value/stringValue");
    if (named !== flow.element.value("start/object"))
      yield `says the object is ${named}, but starts on ${flow.element.value("start/object")}`;
  }
}
