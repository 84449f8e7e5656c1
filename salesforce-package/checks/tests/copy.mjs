// Copies of the package with one defect each.
// Here: making them. Not here: which defects there are (defects.mjs), what must find them (*.test.mjs).
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "../generate.mjs";

const PACKAGE = join(dirname(fileURLToPath(import.meta.url)), "../..");
const GENERATED = ["contract.json", "manifest/package.xml"];

let pristine;

/** A copy with the defect in it: { root, changed } — changed are the paths that differ. */
export function copyWith({ edits, stale }) {
  const root = mkdtempSync(join(tmpdir(), "defect-"));
  pristine ??= pristineCopy();
  link(pristine, root);
  const changed = edits.flatMap((edit) => edit(root));
  // What is generated follows the defect, unless that is the defect: one cause, one check.
  if (!stale) {
    const before = GENERATED.map((path) => [path, readFileSync(join(root, path), "utf8")]);
    for (const path of GENERATED) rmSync(join(root, path));
    generate(root);
    changed.push(
      ...before.filter(([path, text]) => readFileSync(join(root, path), "utf8") !== text).map(([path]) => path),
    );
  }
  return { root, changed };
}

/** All copies are links to this one; an edit replaces the link. Copying the files 120 times took most of the time. */
function pristineCopy() {
  const root = mkdtempSync(join(tmpdir(), "package-"));
  process.on("exit", () => rmSync(root, { recursive: true, force: true }));
  cpSync(PACKAGE, root, { recursive: true, filter: (path) => !/\/(node_modules|checks)$/.test(path) });
  return root;
}

function link(from, to) {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(target);
      link(source, target);
    } else {
      linkSync(source, target);
    }
  }
}

export function discard({ root }) {
  rmSync(root, { recursive: true, force: true });
}

/** Replaces text, which must be there. */
export const replace = (path, from, to) => (root) => {
  const before = readFileSync(join(root, path), "utf8");
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${path} has no ${from}: the defect is out of date`);
  const own = join(root, `${path}.new`);
  copyFileSync(join(root, path), own); // keeps the mode
  writeFileSync(own, after);
  renameSync(own, join(root, path));
  return [path];
};

export const add = (path, text) => (root) => {
  if (existsSync(join(root, path))) throw new Error(`${path} is there already`);
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  return [path];
};

export const remove = (path) => (root) => {
  rmSync(join(root, path));
  return [path];
};

export const rename = (from, to) => (root) => {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  renameSync(join(root, from), join(root, to));
  return [from, to];
};
