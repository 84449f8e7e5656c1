// manifest/package.xml: every component of the package by type, for deploys and for reviewers.

export function manifest(tree, model) {
  const { sourceApiVersion } = JSON.parse(tree.files.get("sfdx-project.json"));
  const types = new Map();
  for (const { path, type, name, parent } of model.documents) {
    if (!path.startsWith("force-app/")) continue;
    if (!types.has(type)) types.set(type, []);
    types.get(type).push(parent ? `${parent}.${name}` : name);
  }
  const lines = [...types]
    .sort()
    .flatMap(([type, names]) => [
      "    <types>",
      ...names.sort().map((member) => `        <members>${member}</members>`),
      `        <name>${type}</name>`,
      "    </types>",
    ]);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<Package xmlns="http://soap.sforce.com/2006/04/metadata">',
    ...lines,
    `    <version>${sourceApiVersion}</version>`,
    "</Package>",
    "",
  ].join("\n");
}
