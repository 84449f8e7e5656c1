// Writes what follows from the metadata: contract.json and manifest/package.xml; with --surface also the snapshot of
// what is released. Only the release writes the snapshot: scripts/promote.sh, with the version as SURFACE_VERSION.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { contractText } from "./lib/contract.mjs";
import { manifest } from "./lib/manifest.mjs";
import { readModel } from "./lib/model.mjs";
import { surface } from "./lib/surface.mjs";
import { readTree } from "./lib/tree.mjs";

export function generate(root) {
  const tree = readTree(root);
  const model = readModel(tree);
  write(root, "contract.json", contractText(tree, model));
  write(root, "manifest/package.xml", manifest(tree, model));
}

export function writeSurface(root, released) {
  const tree = readTree(root);
  const before = tree.files.has("released-surface.json")
    ? JSON.parse(tree.files.get("released-surface.json")).released
    : null;
  const snapshot = {
    about: "What customers may have installed; written by `npm run surface`.",
    released: released ?? before,
    surface: surface(tree, readModel(tree)),
  };
  write(root, "released-surface.json", `${JSON.stringify(snapshot, null, 2)}\n`);
}

function write(root, path, text) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = join(dirname(fileURLToPath(import.meta.url)), "..");
  generate(root);
  if (process.argv.includes("--surface")) writeSurface(root, process.env.SURFACE_VERSION);
}
