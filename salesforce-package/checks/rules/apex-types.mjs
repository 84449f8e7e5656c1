// apex-ls type-checks the Apex against this package's own objects and events and the standard objects, once without
// and once with a namespace. A class added for the occasion names every standard field that flows and permission sets
// name, so that a misspelt `Account.Websit` is found as well.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { java } from "../lib/java.mjs";

export const name = "apex-types";
export const slow = true;
export const reads = (path) =>
  /^force-app\/.*\/(classes|objects)\//.test(path) || /\/(flows|permissionsets)\//.test(path);

const PROBE = "Standard_Field_Probe";
const MAIN = "main";
const API_VERSION = "66.0";
const META = `<?xml version="1.0" encoding="UTF-8"?><ApexClass xmlns="http://soap.sforce.com/2006/04/metadata"><apiVersion>${API_VERSION}</apiVersion><status>Active</status></ApexClass>`;

export async function run({ tree, model }) {
  // Two runs: a package without a namespace would extend the objects of the one with.
  const runs = [typeProblems([{ tree, model, plain: true }]), typeProblems([{ tree, model }])];
  const [[plain], [namespaced]] = await Promise.all(runs);
  return [...plain, ...namespaced.map((problem) => `with a namespace: ${problem}`)];
}

/**
 * Problems of some copies of the package, one list each, by one run of apex-ls: a copy is a package with a namespace of
 * its own in one project. A `plain` one has none, and stands alone.
 */
export async function typeProblems(copies) {
  const workspace = mkdtempSync(join(tmpdir(), "apex-types-"));
  try {
    const places = copies.map(({ plain }, place) => (plain ? MAIN : `n${place}`));
    const dependencies = places
      .filter((place) => place !== MAIN)
      .map((place) => ({ namespace: place, path: `../${place}` }));
    project(workspace, MAIN, { plugins: { dependencies } });
    copies.forEach((copy, number) => {
      const place = places[number];
      if (place !== MAIN) project(workspace, place, { namespace: place });
      copySources(copy, join(workspace, place));
    });
    const { stdout, status, stderr } = await java(
      "io.github.apexdevtools.apexls.CheckForIssues",
      "-n",
      "-d",
      "warnings",
      "-f",
      "json",
      "-w",
      join(workspace, MAIN),
    );
    const begin = stdout.indexOf("{");
    if (begin < 0) throw new Error(`apex-ls gave no report (status ${status}): ${stderr.trim().split("\n")[0]}`);
    const { files } = JSON.parse(stdout.slice(begin));
    return copies.map(({ model }, number) =>
      problemsBelow(`${workspace}/${places[number]}/`, files, standardFields(model)),
    );
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}

function project(workspace, place, extra) {
  mkdirSync(join(workspace, place, "force-app"), { recursive: true });
  const settings = {
    packageDirectories: [{ path: "force-app", default: true }],
    sourceApiVersion: API_VERSION,
    ...extra,
  };
  writeFileSync(join(workspace, place, "sfdx-project.json"), JSON.stringify(settings));
}

function copySources({ tree, model }, folder) {
  const sources = [...tree.files].filter(([path]) => /^force-app\/.*\/(classes|objects)\//.test(path));
  const probe = `force-app/main/default/classes/${PROBE}.cls`;
  const lines = standardFields(model).map((field, number) => `static SObjectField f${number} = ${field};`);
  sources.push([probe, `public class ${PROBE} {\n${lines.join("\n")}\n}\n`], [`${probe}-meta.xml`, META]);
  for (const [path, text] of sources) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Every message counts: apex-ls exits 0 on an unknown field of an object. */
function problemsBelow(folder, files, fields) {
  return files
    .filter(({ path }) => path.startsWith(folder))
    .flatMap(({ path, messages }) =>
      messages.map(({ start, category, message }) =>
        path.includes(PROBE)
          ? `flows or permission sets name ${fields[start.line - 2]}: ${message}`
          : `${path.slice(folder.length)}:${start.line}: ${category}: ${message}`,
      ),
    );
}

function standardFields(model) {
  const found = new Set();
  for (const flow of model.flows) {
    const object = flow.element.value("start/object");
    for (const part of flow.element.walk()) {
      for (const [, field] of part.text.matchAll(/\$Record(?:__Prior)?\.(\w+)/g)) {
        if (!field.endsWith("__c")) found.add(`${object}.${field}`);
      }
    }
  }
  for (const set of model.companions) {
    for (const entry of set.element.all("fieldPermissions")) found.add(entry.value("field"));
  }
  return [...found];
}
