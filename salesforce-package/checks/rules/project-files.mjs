// sfdx-project.json, scratch org definitions and cumulusci.yml have the right form, and what they point to is there.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv";
import { parse } from "yaml";

export const name = "project-files";
export const reads = (path) =>
  /^(sfdx-project\.json|cumulusci\.yml|config\/.*|orgs\/.*)$/.test(path) ||
  path.includes("/permissionsets/") ||
  path.startsWith("eca/");

const require = createRequire(import.meta.url);
const ajv = new (Ajv.default ?? Ajv)({ strict: false, allErrors: true });
const load = (path) => ajv.compile(JSON.parse(readFileSync(path, "utf8")));
let schemas;

export async function run({ tree, model }) {
  schemas ??= {
    project: load(require.resolve("@salesforce/schemas/sfdx-project.schema.json")),
    scratch: load(require.resolve("@salesforce/schemas/project-scratch-def.schema.json")),
    cumulus: load(new URL("../data/cumulusci.schema.json", import.meta.url)),
  };
  const project = JSON.parse(tree.files.get("sfdx-project.json"));
  const cumulus = parse(tree.files.get("cumulusci.yml"));
  const definitions = [...tree.files.keys()].filter((path) => /^(config|orgs)\/.*\.json$/.test(path));
  return [
    ...against(schemas.project, project, "sfdx-project.json"),
    ...definitions.flatMap((path) => against(schemas.scratch, JSON.parse(tree.files.get(path)), path)),
    ...against(schemas.cumulus, cumulus, "cumulusci.yml"),
    ...projectPaths(project, tree),
    ...cumulusPaths(cumulus, tree, model),
  ];
}

function against(schema, value, path) {
  if (schema(value)) return [];
  const told = schema.errors.map(
    (error) =>
      `${path}: ${error.instancePath || "/"} ${error.message}${error.params?.additionalProperty ? ` (${error.params.additionalProperty})` : ""}`,
  );
  return [...new Set(told)];
}

function* projectPaths(project, tree) {
  const paths = [...tree.files.keys()];
  for (const { path, definitionFile, unpackagedMetadata } of project.packageDirectories) {
    for (const folder of [path, unpackagedMetadata?.path]) {
      if (folder && !paths.some((file) => file.startsWith(`${folder}/`)))
        yield `sfdx-project.json: folder ${folder} is missing or empty`;
    }
    if (definitionFile && !tree.files.has(definitionFile)) yield `sfdx-project.json: ${definitionFile} is missing`;
  }
  for (const { filename, stringToReplace } of project.replacements ?? []) {
    if (!new RegExp(`\\b${stringToReplace}\\b`).test(tree.files.get(filename) ?? ""))
      yield `sfdx-project.json: "${stringToReplace}" does not stand in ${filename}, so nothing would be replaced`;
  }
}

function* cumulusPaths(cumulus, tree, model) {
  for (const [org, { config_file: file }] of Object.entries(cumulus.orgs?.scratch ?? {})) {
    if (!tree.files.has(file)) yield `cumulusci.yml: org ${org}: ${file} is missing`;
  }
  const sets = new Set([...model.permissionSets, ...model.companions].map((set) => set.name));
  for (const [task, { options = {} }] of Object.entries(cumulus.tasks ?? {})) {
    for (const set of options.api_names?.split(",") ?? [])
      if (!sets.has(set)) yield `cumulusci.yml: task ${task}: permission set ${set} does not exist`;
    if (options.path && ![...tree.files.keys()].some((file) => file.startsWith(`${options.path}/`)))
      yield `cumulusci.yml: task ${task}: ${options.path} is missing`;
  }
}
