// One API version everywhere, package versions that can be released, one namespace.
import { parse } from "yaml";

export const name = "versions";
export const reads = (path) =>
  ["sfdx-project.json", "cumulusci.yml", "released-surface.json"].includes(path) || /\/(classes|flows)\//.test(path);

/** Last part NEXT; third part 0: a patch version must not change flows. */
const VERSION = /^\d+\.\d+\.0\.NEXT$/;

export async function run({ tree, model }) {
  const problems = [];
  const project = JSON.parse(tree.files.get("sfdx-project.json"));
  const cumulus = parse(tree.files.get("cumulusci.yml")).project.package;
  const expected = project.sourceApiVersion;
  const same = (path, found) =>
    found === expected || problems.push(`${path}: API version ${found}, sfdx-project.json says ${expected}`);
  for (const { path, element, type } of model.documents) {
    if (type === "ApexClass" || type === "Flow") same(path, element.value("apiVersion"));
  }
  same("cumulusci.yml", cumulus.api_version);

  const released = JSON.parse(tree.files.get("released-surface.json")).released;
  for (const { path, package: named, versionNumber, ancestorVersion } of project.packageDirectories) {
    if (!named) continue;
    if (!VERSION.test(versionNumber))
      problems.push(`sfdx-project.json: ${path}: version ${versionNumber} is not of the form 1.2.0.NEXT`);
    // The CLI refuses HIGHEST while no version is promoted, and a version without ancestor afterwards.
    if (path === "force-app" && ancestorVersion !== (released ? "HIGHEST" : undefined)) {
      problems.push(
        `sfdx-project.json: ${path}: ${released ? 'ancestorVersion must be "HIGHEST" after a release' : "ancestorVersion stays out until a version is promoted"}`,
      );
    }
  }
  if ((project.namespace ?? "") !== (cumulus.namespace ?? ""))
    problems.push(
      `cumulusci.yml: namespace "${cumulus.namespace ?? ""}", sfdx-project.json says "${project.namespace}"`,
    );
  if (project.namespace && !/^[A-Za-z](?:_?[A-Za-z0-9]){0,14}$/.test(project.namespace))
    problems.push(`sfdx-project.json: "${project.namespace}" is no namespace`);
  return problems;
}
