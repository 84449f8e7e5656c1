// The package's files, read once: path (with /, from the package's root) → text.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";

const SKIPPED = new Set(["node_modules", "checks", ".sf", ".sfdx", ".cci"]);

/** Folders that hold metadata, and whether customers get it. */
export const METADATA = [
  { folder: "force-app/", packaged: true },
  { folder: "eca/", packaged: true },
  { folder: "unpackaged/", packaged: false },
];

export function readTree(root) {
  const files = new Map();
  for (const path of walk(root)) files.set(relative(root, path).split(sep).join("/"), readFileSync(path, "utf8"));
  return { root, files };
}

function* walk(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED.has(entry.name)) yield* walk(path);
    } else {
      yield path;
    }
  }
}
