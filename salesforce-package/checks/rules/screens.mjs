// What people see: layout, record page, list views, compact and search layouts, tab, app. All of them name fields
// that exist, and layout and record page show every field.
import { dataObjects } from "../lib/model.mjs";

export const name = "screens";
export const reads = (path) => /\/(objects|layouts|flexipages|tabs|applications)\//.test(path);

const STANDARD = new Set(["Name", "OwnerId", "CreatedById", "LastModifiedById"]);
const LIST_COLUMNS = new Set(["NAME", "OWNER.ALIAS", "CREATED_DATE", "LAST_UPDATE"]);
const COMPONENTS = new Set([
  "force:highlightsPanel",
  "force:relatedListContainer",
  "flexipage:tabset",
  "flexipage:tab",
  "flexipage:fieldSection",
  "flexipage:column",
]);

export async function run({ model }) {
  const problems = [];
  for (const object of dataObjects(model)) {
    problems.push(...layouts(object, model), ...recordPages(object, model), ...lists(object));
    problems.push(...overrides(object, model));
    if (!model.tabs.some((tab) => tab.name === object.name)) problems.push(`${object.path}: has no tab`);
  }
  for (const page of model.pages) problems.push(...regions(page));
  for (const tab of model.tabs) {
    if (!model.objects.has(tab.name)) problems.push(`${tab.path}: object ${tab.name} does not exist`);
    if (!/^Custom\d+: \S/.test(tab.element.value("motif") ?? ""))
      problems.push(`${tab.path}: <motif> is not of the form "Custom57: Name"`);
  }
  for (const app of model.apps) {
    for (const tab of app.element.values("tabs")) {
      if (!tab.startsWith("standard-") && !model.tabs.some((known) => known.name === tab))
        problems.push(`${app.path}: tab ${tab} does not exist`);
    }
  }
  return problems;
}

/** Every field once, none unknown. */
function* shown(path, shownFields, object) {
  const seen = new Set();
  for (const field of shownFields) {
    if (seen.has(field)) yield `${path}: shows ${field} twice`;
    seen.add(field);
    if (!object.fields.has(field) && !STANDARD.has(field)) yield `${path}: ${object.name} has no field ${field}`;
  }
  for (const field of ["Name", ...object.fields.keys()]) if (!seen.has(field)) yield `${path}: does not show ${field}`;
}

function* layouts(object, model) {
  const own = model.layouts.filter((layout) => layout.name.startsWith(`${object.name}-`));
  if (own.length === 0) yield `${object.path}: has no page layout`;
  for (const { path, element } of own) {
    const items = [...element.walk()].filter((part) => part.name === "layoutItems");
    yield* shown(
      path,
      items.map((item) => item.value("field")),
      object,
    );
    for (const item of items) {
      const required = object.fields.get(item.value("field"))?.required;
      if (required && item.value("behavior") !== "Required")
        yield `${path}: ${item.value("field")} is required, its behavior is not`;
    }
  }
}

function* recordPages(object, model) {
  const own = model.pages.filter((page) => page.element.value("sobjectType") === object.name);
  if (own.length === 0) yield `${object.path}: has no record page, so new fields of an upgrade would reach nobody`;
  for (const { path, element } of own) {
    const instances = [...element.walk()].filter((part) => part.name === "fieldInstance");
    yield* shown(
      path,
      instances.map((instance) => instance.value("fieldItem").replace(/^Record\./, "")),
      object,
    );
  }
}

/** Facets are declared once, used once; component names and identifiers are in order. */
function* regions({ path, element }) {
  const all = element.all("flexiPageRegions");
  const facets = all.filter((region) => region.value("type") === "Facet").map((region) => region.value("name"));
  const used = [];
  const identifiers = new Set();
  for (const part of element.walk()) {
    if (part.name === "componentInstanceProperties" && part.value("value")?.startsWith("Facet-"))
      used.push(part.value("value"));
    if (part.name === "componentInstance" && !COMPONENTS.has(part.value("componentName")))
      yield `${path}: component ${part.value("componentName")} is not one this page is known to work with`;
    if (part.name === "componentInstance" || part.name === "fieldInstance") {
      const identifier = part.value("identifier");
      if (!identifier || identifiers.has(identifier))
        yield `${path}: identifier ${identifier ?? "(none)"} is missing or not unique`;
      identifiers.add(identifier);
    }
  }
  for (const facet of used) if (!facets.includes(facet)) yield `${path}: facet ${facet} does not exist`;
  for (const facet of facets)
    if (used.filter((name) => name === facet).length !== 1)
      yield `${path}: facet ${facet} is used ${used.filter((name) => name === facet).length} times instead of once`;
  for (const region of ["header", "main", "sidebar"]) {
    if (!all.some((known) => known.value("name") === region && known.value("type") === "Region"))
      yield `${path}: region ${region} of the template is missing`;
  }
}

function* lists(object) {
  for (const { path, element } of object.listViews) {
    for (const column of [
      ...element.values("columns"),
      ...element.all("filters").map((filter) => filter.value("field")),
    ]) {
      if (!LIST_COLUMNS.has(column) && !object.fields.has(column))
        yield `${path}: ${object.name} has no field ${column}`;
    }
    for (const filter of element.all("filters")) {
      const { picklist = [] } = object.fields.get(filter.value("field")) ?? {};
      const value = filter.value("value");
      if (picklist.length > 0 && value && !picklist.includes(value))
        yield `${path}: ${filter.value("field")} has no value ${value}`;
    }
  }
  for (const { path, element } of object.compactLayouts) {
    for (const field of element.values("fields"))
      if (!STANDARD.has(field) && !object.fields.has(field)) yield `${path}: ${object.name} has no field ${field}`;
  }
  for (const entry of object.element.one("searchLayouts")?.children ?? []) {
    if (!LIST_COLUMNS.has(entry.text) && !object.fields.has(entry.text))
      yield `${object.path}: <${entry.name}> names ${entry.text}, which does not exist`;
  }
}

function* overrides(object, model) {
  const compact = object.element.value("compactLayoutAssignment");
  if (!object.compactLayouts.some((layout) => layout.name === compact))
    yield `${object.path}: compact layout ${compact} does not exist`;
  const views = object.element
    .all("actionOverrides")
    .filter((entry) => entry.value("actionName") === "View" && entry.value("type") === "Flexipage");
  if (views.length === 0)
    yield `${object.path}: no record page is the default: an <actionOverrides> for View is missing`;
  for (const view of views) {
    const page = view.value("content");
    if (!model.pages.some((known) => known.name === page && known.element.value("sobjectType") === object.name))
      yield `${object.path}: record page ${page} of ${object.name} does not exist`;
  }
}
