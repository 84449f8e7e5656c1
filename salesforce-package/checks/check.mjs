// Checks the Salesforce package without an org: `npm run check`. Exit code 1 if anything is wrong.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readModel } from "./lib/model.mjs";
import { Missing, have } from "./lib/tools.mjs";
import { readTree } from "./lib/tree.mjs";
import { RULES } from "./rules/index.mjs";

const root = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), "..");
const tree = readTree(root);
const model = readModel(tree);

have("java"); // brings what is missing before anything is timed

async function judge(rule) {
  const begin = performance.now();
  const done = (state, lines) => ({ name: rule.name, state, lines, ms: Math.round(performance.now() - begin) });
  try {
    const problems = await rule.run({ tree, model });
    return done(problems.length === 0 ? "ok" : "FAILED", problems);
  } catch (cause) {
    if (cause instanceof Missing) return done(process.env.CI ? "FAILED" : "skipped", [cause.message]);
    return done("FAILED", [cause instanceof SyntaxError ? cause.message : cause.stack]);
  }
}

// The slow ones wait for other processes: they start first and run beside the rest.
const started = new Map(RULES.filter((rule) => rule.slow).map((rule) => [rule, judge(rule)]));
const verdicts = [];
for (const rule of RULES) verdicts.push(await (started.get(rule) ?? judge(rule)));
for (const { name, state, lines, ms } of verdicts) {
  console.log(`${state.padEnd(8)}${name.padEnd(18)}${String(ms).padStart(6)} ms`);
  for (const line of lines) console.log(`          ${line}`);
}
const count = (state) => verdicts.filter((verdict) => verdict.state === state).length;
console.log(
  `${count("ok")} checks passed, ${count("FAILED")} failed, ${count("skipped")} skipped; ${model.documents.length} metadata files`,
);
process.exitCode = count("FAILED") > 0 ? 1 : 0;
