// The guides name what exists, all of it where an admin needs it, and their links lead somewhere.

export const name = "documents";
export const reads = (path) =>
  path.endsWith(".md") || path.startsWith("scripts/") || /\/(objects|permissionsets|flows)\//.test(path);

const API_NAME =
  /^(?:[A-Za-z][A-Za-z0-9_]*\.)?[A-Za-z][A-Za-z0-9_]*__[ce]$|^(?:Sync|Enrichment|Account|Lead|Suppress)_[A-Za-z_]+$/;
/** Where a name's namespace stands, and names that are made up on purpose. */
const EXAMPLES = /^acmeco__/;

export async function run({ tree, model }) {
  const known = new Set(
    model.documents.flatMap(({ name: own, parent }) => (parent ? [own, `${parent}.${own}`] : [own])),
  );
  const problems = [];
  for (const [path, text] of tree.files) {
    if (!path.endsWith(".md")) continue;
    for (const [, quoted] of text.matchAll(/`([^`\n]+)`/g)) {
      const word = quoted.replace(EXAMPLES, "");
      if (API_NAME.test(word) && !known.has(word)) problems.push(`${path}: \`${quoted}\` does not exist`);
      const script = /^(?:salesforce-package\/)?(scripts\/[\w-]+\.sh)\b/.exec(quoted)?.[1];
      if (script && !tree.files.has(script)) problems.push(`${path}: ${script} does not exist`);
    }
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      const folder = path.includes("/") ? `${path.slice(0, path.lastIndexOf("/"))}/` : "";
      if (
        !target.startsWith("../") &&
        ![...tree.files.keys()].some((file) => file === folder + target || file.startsWith(`${folder + target}/`))
      )
        problems.push(`${path}: the link to ${target} leads nowhere`);
    }
  }
  const guide = tree.files.get("INSTALL.md") ?? "";
  const needed = [
    ...model.permissionSets,
    ...model.companions,
    ...model.flows,
    ...[...model.objects.values()]
      .filter((object) => object.kind === "setting")
      .flatMap((object) => [object, ...object.fields.values()]),
  ];
  for (const { name: own } of needed) if (!guide.includes(own)) problems.push(`INSTALL.md: says nothing of ${own}`);
  return problems;
}
