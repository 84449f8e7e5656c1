// Each check is shown a copy of the package with one defect: it must fail, and no other check may.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { readModel } from "../lib/model.mjs";
import { have } from "../lib/tools.mjs";
import { readTree } from "../lib/tree.mjs";
import * as apexRules from "../rules/apex-rules.mjs";
import * as apexTypes from "../rules/apex-types.mjs";
import { RULES } from "../rules/index.mjs";
import { countProblems, reads as isMetadata, validate } from "../rules/xml-schema.mjs";
import { copyWith, discard } from "./copy.mjs";
import { CHANGES, DEFECTS } from "./defects/index.mjs";

const NEEDS = { "flow-security": "python3", scripts: "shellcheck", "apex-types": "java", "apex-rules": "java" };
/** Without its program a check is skipped, which under CI would be a proof of nothing. */
const skipped = (rule) => NEEDS[rule] && !have(NEEDS[rule]) && !process.env.CI;
const COSTLY = new Set([...Object.keys(NEEDS), "flow-scanner", "project-files"]);
/** Whether a copy differs in files a check reads. Costly checks run only then. */
const differ =
  (rule) =>
  ({ changed }) =>
    changed.some(rule.reads);

const copies = [...DEFECTS, ...CHANGES].map((defect) => {
  const copy = copyWith(defect);
  const tree = readTree(copy.root);
  return { ...defect, ...copy, tree, model: readModel(tree) };
});
after(() => copies.forEach(discard));

// Three checks take all copies in one go: starting Java, and compiling the schema, costs more than the work itself.
// Each gives one list of problems per copy.
const together = {
  "apex-rules": skipped("apex-rules")
    ? undefined
    : byCopy(apexRules.pmd(copies.filter(differ(apexRules)).flatMap(judgedByPmd))),
  "apex-types": skipped("apex-types") ? undefined : typesByCopy(copies.filter(differ(apexTypes))),
  "xml-schema": byCopy(validate(copies.flatMap(differingMetadata))),
};

/** Sorts problems, which begin with a path, to the copies they belong to. */
async function byCopy(promise) {
  const problems = await promise;
  return new Map(copies.map((copy) => [copy, problems.filter((problem) => problem.startsWith(`${copy.root}/`))]));
}

async function typesByCopy(differing) {
  const problems = await apexTypes.typeProblems(differing);
  return new Map(differing.map((copy, place) => [copy, problems[place]]));
}

function judgedByPmd({ root }) {
  return ["classes", "objects"].map((folder) => `${root}/force-app/main/default/${folder}`);
}

function differingMetadata({ root, changed, tree }) {
  const paths = changed.filter((path) => isMetadata(path) && tree.files.has(path));
  return paths.map((path) => ({ path: `${root}/${path}`, text: tree.files.get(path) }));
}

async function problemsOf(rule, copy) {
  const own = (await together[rule.name])?.get(copy);
  if (rule.name === "xml-schema") return [...own, ...countProblems(copy.model.documents)];
  return own ?? rule.run(copy);
}

describe("a copy with", { concurrency: 4 }, () => {
  for (const copy of copies) {
    it(copy.name, async () => {
      const found = {};
      const due = (rule) => !skipped(rule.name) && (!COSTLY.has(rule.name) || differ(rule)(copy));
      for (const rule of RULES.filter(due)) {
        const problems = await problemsOf(rule, copy);
        if (problems.length > 0) found[rule.name] = problems;
      }
      const expected = copy.fails.filter((rule) => !skipped(rule));
      assert.deepEqual(Object.keys(found).sort(), expected.sort(), JSON.stringify(found, null, 2));
    });
  }
});

it("apex-ls finds a defect with and without a namespace", { skip: Boolean(skipped("apex-types")) }, async () => {
  const problems = await apexTypes.run(copies.find(({ name }) => name === "Apex sets a field the event lacks"));
  const namespaced = problems.filter((problem) => problem.startsWith("with a namespace: "));
  assert.deepEqual([problems.length, namespaced.length], [2, 1], problems.join("\n"));
});

it("every check has a defect that it finds", () => {
  const proved = new Set(DEFECTS.flatMap((defect) => defect.fails));
  assert.deepEqual(
    RULES.map((rule) => rule.name).filter((name) => !proved.has(name)),
    [],
  );
});
