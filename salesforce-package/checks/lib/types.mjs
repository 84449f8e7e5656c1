// The metadata types this package may contain: folder, suffix, root element.
// From the registry of Salesforce's source-deploy-retrieve library. A type missing here is refused on purpose:
// adding one is a decision about the package.

export const TYPES = [
  { root: "ApexClass", folder: "classes", suffix: "cls" },
  { root: "CustomApplication", folder: "applications", suffix: "app" },
  { root: "CustomField", folder: "fields", suffix: "field", parent: true },
  { root: "CompactLayout", folder: "compactLayouts", suffix: "compactLayout", parent: true },
  { root: "ListView", folder: "listViews", suffix: "listView", parent: true },
  { root: "CustomObject", folder: "objects", suffix: "object" },
  { root: "CustomTab", folder: "tabs", suffix: "tab" },
  { root: "ExternalClientApplication", folder: "externalClientApps", suffix: "eca" },
  { root: "ExtlClntAppOauthSettings", folder: "extlClntAppOauthSettings", suffix: "ecaOauth" },
  { root: "FlexiPage", folder: "flexipages", suffix: "flexipage" },
  { root: "Flow", folder: "flows", suffix: "flow" },
  { root: "Layout", folder: "layouts", suffix: "layout" },
  { root: "PermissionSet", folder: "permissionsets", suffix: "permissionset" },
];

/** Type, name and parent object of a metadata file, or undefined if path and suffix fit no type. */
export function identify(path) {
  const parts = path.split("/");
  const match = /^(.+)\.([A-Za-z]+)-meta\.xml$/.exec(parts.at(-1));
  if (!match) return undefined;
  const [, name, suffix] = match;
  const type = TYPES.find((candidate) => candidate.suffix === suffix);
  if (!type) return undefined;
  if (type.root === "CustomObject") {
    return parts.at(-2) === name && parts.at(-3) === "objects" ? { type, name } : undefined;
  }
  if (parts.at(-2) !== type.folder) return undefined;
  if (!type.parent) return { type, name };
  return parts.at(-4) === "objects" ? { type, name, parent: parts.at(-3) } : undefined;
}
