// A stand-in for `sf` and `npm` on PATH: refuses commands and flags the real CLI does not have, writes down what it
// was asked, answers as the CLI's declarations say. STAND_IN holds { log, fail, answers, sleep }.
import { appendFileSync, readFileSync } from "node:fs";

const [program, ...words] = process.argv.slice(2);
const { log, fail, answers = {}, sleep = {} } = JSON.parse(process.env.STAND_IN);
const end = words.findIndex((word) => word.startsWith("-"));
const command = (end < 0 ? words : words.slice(0, end)).join(" ");
const env = process.env.SURFACE_VERSION ? { SURFACE_VERSION: process.env.SURFACE_VERSION } : {};
appendFileSync(log, `${JSON.stringify({ program, command, words, ...env })}\n`);

const ANSWERS = {
  "apex run test": { summary: { outcome: "Passed", testRunCoverage: "97%" } },
  "package version create": { Status: "Success", SubscriberPackageVersionId: "04t000000000000AAA" },
  "package version report": { Version: "0.1.0.1", ValidationSkipped: false, HasPassedCodeCoverageCheck: true },
};

if (program === "sf") {
  const { commands } = JSON.parse(readFileSync(new URL("../data/sf-commands.json", import.meta.url), "utf8"));
  const flags = commands[command];
  const unknown = words.filter((word) => word.startsWith("--") && !(word.slice(2) in (flags ?? {})));
  if (!flags || unknown.length > 0) {
    console.error(`stand-in: no such command or flag: ${command} ${unknown}`);
    process.exit(2);
  }
}
const asked = program === "npm" ? words.filter((word) => !word.startsWith("-"))[1] : command;
if (sleep[asked]) await new Promise((resolve) => setTimeout(resolve, sleep[asked]));
if (fail === asked) {
  console.log(JSON.stringify({ status: 1, message: "refused" }));
  process.exit(1);
}
if (words.includes("--json"))
  console.log(JSON.stringify({ status: 0, result: { ...ANSWERS[command], ...answers[command] } }));
else console.log(`${program} says ${asked}`);
