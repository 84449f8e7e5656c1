// The scripts and the CI example call the Salesforce CLI with commands and flags it has, stop at the first failure and
// delete what they create. What they do with canned answers is tested in tests/scripts.test.mjs.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { Missing, have } from "../lib/tools.mjs";

export const name = "scripts";
export const reads = (path) => path.startsWith("scripts/") || path.startsWith("ci/");

const CLI = JSON.parse(readFileSync(new URL("../data/sf-commands.json", import.meta.url), "utf8")).commands;

export async function run({ tree }) {
  const problems = [];
  const scripts = [...tree.files].filter(([path]) => path.startsWith("scripts/"));
  for (const [path, text] of scripts) {
    for (const words of calls(text)) problems.push(...callProblems(words, path));
    problems.push(...form(path, text));
  }
  for (const [path, text] of [...tree.files].filter(([file]) => file.startsWith("ci/")))
    problems.push(...workflow(path, text, tree));
  problems.push(
    ...shellcheck(
      scripts.map(([path]) => path),
      tree.root,
    ),
  );
  return problems;
}

function* form(path, text) {
  if (path === "scripts/lib.sh") {
    if (!/^set -euo pipefail$/m.test(text)) yield `${path}: does not stop at the first failure: set -euo pipefail`;
    return;
  }
  const code = text.split("\n").filter((line) => !line.startsWith("#"));
  if (!text.startsWith("#!/usr/bin/env bash\n")) yield `${path}: the first line is not #!/usr/bin/env bash`;
  if (code[0] !== 'source "$(dirname "$0")/lib.sh"')
    yield `${path}: its first command does not source lib.sh, which makes it stop at failures`;
  const create = text.indexOf("sf org create scratch");
  if (create >= 0 && !text.slice(0, create).includes("trap delete_scratch_org EXIT"))
    yield `${path}: creates a scratch org without a trap that deletes it`;
}

/** Every `sf …` of a script, as words; pieces that come from variables stay as they are written. */
function calls(text) {
  const joined = text
    .replace(/\\\n\s*/g, " ")
    .replace(/^\s*#.*$/gm, "")
    .replace(/^\s*say .*$/gm, "");
  return [...joined.matchAll(/(?:^|[;&|(!]|\$\()\s*sf\s+([^\n;|&<>]*)/gm)].map(([, rest]) =>
    (rest.match(/"(?:[^"\\]|\\.)*"|[^\s")]+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1")),
  );
}

function* callProblems(words, path) {
  const end = words.findIndex((word) => word.startsWith("-") || word.startsWith("$"));
  const command = words.slice(0, end < 0 ? words.length : end).join(" ");
  const flags = CLI[command];
  if (!flags) {
    yield `${path}: the Salesforce CLI has no command \`sf ${command}\``;
    return;
  }
  const given = new Set();
  for (let place = 0; place < words.length; place++) {
    const word = words[place];
    if (!word.startsWith("-")) continue;
    const [written, inline] = word.split("=");
    const [flag, known] =
      Object.entries(flags).find(([long, { char }]) => written === `--${long}` || written === `-${char}`) ?? [];
    if (!known) {
      yield `${path}: \`sf ${command}\` has no flag ${written}`;
      continue;
    }
    given.add(flag);
    const value = inline ?? words[place + 1];
    if (known.boolean) continue;
    if (value === undefined || value.startsWith("-")) yield `${path}: ${written} of \`sf ${command}\` needs a value`;
    else if (known.options && !value.includes("$") && !known.options.includes(value))
      yield `${path}: ${written} of \`sf ${command}\` cannot be ${value}`;
  }
  for (const [flag, { required }] of Object.entries(flags))
    if (required && !given.has(flag)) yield `${path}: \`sf ${command}\` needs --${flag}`;
}

function* workflow(path, text, tree) {
  const { jobs } = parse(text);
  for (const [job, { steps, "timeout-minutes": timeout }] of Object.entries(jobs)) {
    if (!timeout) yield `${path}: job ${job} has no time limit`;
    for (const step of steps) {
      if (step.uses && !/@v\d+$|@[0-9a-f]{40}$/.test(step.uses)) yield `${path}: ${step.uses} is not pinned`;
      if (!step.run) continue;
      for (const words of calls(step.run)) yield* callProblems(words, path);
      for (const [script] of step.run.matchAll(/\bscripts\/[\w-]+\.sh/g))
        if (!tree.files.has(script)) yield `${path}: ${script} does not exist`;
      if (/\$\{\{\s*secrets\./.test(step.run))
        yield `${path}: a secret stands in a command of job ${job}; hand it over as an environment variable`;
    }
  }
}

function shellcheck(paths, root) {
  if (!have("shellcheck")) throw new Missing("shellcheck");
  const { status, stdout } = spawnSync(
    "shellcheck",
    ["--format=gcc", "--external-sources", "--source-path=SCRIPTDIR", ...paths.map((path) => join(root, path))],
    { encoding: "utf8" },
  );
  return status === 0
    ? []
    : stdout
        .trim()
        .split("\n")
        .map((line) => line.replace(`${root}/`, ""));
}
