// What customers have installed and cannot be taken back: names, types, keys, relationships.
import { contract } from "./contract.mjs";

/** The surface as it is in the tree now. */
export function surface(tree, model) {
  const { objects, events, custom_settings: settings } = contract(tree, model);
  const packaged = model.documents.filter((document) => document.packaged);
  const names = (type) =>
    packaged
      .filter((document) => document.type === type)
      .map((document) => (document.parent ? `${document.parent}.${document.name}` : document.name))
      .sort();
  const globals = model.classes
    .filter((apex) => apex.isGlobal)
    .map((apex) => [apex.name, Object.fromEntries(apex.inputs ?? [])]);
  return {
    objects: { ...objects, ...events, ...settings },
    global_classes: Object.fromEntries(globals),
    components: Object.fromEntries(
      [
        "CompactLayout",
        "CustomApplication",
        "CustomTab",
        "FlexiPage",
        "Flow",
        "Layout",
        "ListView",
        "PermissionSet",
      ].map((type) => [type, names(type)]),
    ),
  };
}

/** What an upgrade must not do: removing, retyping, narrowing, requiring. Adding and widening are fine. */
export function* forbiddenChanges(before, now) {
  for (const [object, old] of Object.entries(before.objects)) {
    if (now.objects[object]) yield* fieldChanges(object, old.fields, now.objects[object].fields);
    else yield `object ${object} is gone`;
  }
  for (const [type, components] of Object.entries(before.components)) {
    for (const component of components)
      if (!now.components[type]?.includes(component)) yield `${type} ${component} is gone`;
  }
  for (const [apex, inputs] of Object.entries(before.global_classes)) {
    const current = now.global_classes[apex];
    if (!current) {
      yield `global class ${apex} is gone`;
      continue;
    }
    for (const [input, { type, required }] of Object.entries(inputs)) {
      if (!current[input]) yield `input ${apex}.${input} is gone`;
      else if (current[input].type !== type) yield `input ${apex}.${input} was ${type}, is ${current[input].type}`;
      else if (current[input].required && !required) yield `input ${apex}.${input} has become required`;
    }
    for (const [input, { required }] of Object.entries(current))
      if (required && !inputs[input]) yield `new input ${apex}.${input} is required`;
  }
}

const FIXED = ["type", "external_id", "unique", "case_sensitive", "reference_to", "relationship"];

function* fieldChanges(object, before, now) {
  for (const [field, old] of Object.entries(before)) {
    const current = now[field];
    const name = `${object}.${field}`;
    if (!current) {
      yield `${name} is gone`;
      continue;
    }
    for (const key of FIXED) if (old[key] !== current[key]) yield `${name}: ${key} was ${old[key]}, is ${current[key]}`;
    if (current.length < old.length) yield `${name}: length was ${old.length}, is ${current.length}`;
    if (current.scale < old.scale) yield `${name}: scale was ${old.scale}, is ${current.scale}`;
    if (current.precision - current.scale < old.precision - old.scale)
      yield `${name}: holds fewer digits before the point than it did`;
    if (current.required && !old.required) yield `${name} has become required`;
    if (current.restricted && !old.restricted) yield `${name}: the picklist has become restricted`;
    for (const value of old.values ?? [])
      if (!current.values?.includes(value)) yield `${name}: the value ${value} is gone`;
  }
  for (const [field, current] of Object.entries(now)) {
    if (!before[field] && current.required)
      yield `new field ${object}.${field} is required, which existing rows cannot satisfy`;
    if (!before[field] && current.type === "AutoNumber") yield `new field ${object}.${field} is an auto-number`;
  }
}
