// manifest/package.xml lists exactly what is in force-app.
import { manifest } from "../lib/manifest.mjs";

export const name = "manifest";
export const reads = (path) =>
  path === "manifest/package.xml" || path === "sfdx-project.json" || path.startsWith("force-app/");

export async function run({ tree, model }) {
  const same = tree.files.get("manifest/package.xml") === manifest(tree, model);
  return same ? [] : ["manifest/package.xml: is not what force-app holds; run `npm run generate --prefix checks`"];
}
