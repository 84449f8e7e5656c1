// The scripts, run from end to end against a stand-in for the CLI: what they call, where they stop, what they delete.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { copyWith, discard, replace } from "./copy.mjs";

const STAND_IN = fileURLToPath(new URL("stand-in.mjs", import.meta.url));
const VERSION = "04t000000000000AAA";
const copies = [];
after(() => copies.forEach(discard));

/** Runs a script in a copy of the package; resolves to { code, out, err, calls } — calls are the commands, in order. */
async function run(script, { words = [], edits = [], env = {}, signal, ...behavior } = {}) {
  const copy = copyWith({ edits });
  copies.push(copy);
  const log = join(copy.root, "calls.log");
  const bin = join(copy.root, "bin");
  mkdirSync(bin);
  for (const program of ["sf", "npm"]) {
    writeFileSync(join(bin, program), `#!/bin/sh\nexec "${process.execPath}" "${STAND_IN}" ${program} "$@"\n`);
    chmodSync(join(bin, program), 0o755);
  }
  const child = spawn(join(copy.root, "scripts", script), words, {
    env: {
      ...process.env,
      INSTALLATION_KEY: "",
      ...env,
      PATH: `${bin}:${process.env.PATH}`,
      STAND_IN: JSON.stringify({ log, ...behavior }),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A line counts once its end is written: the file is read while programs append to it.
  const read = () =>
    existsSync(log)
      ? readFileSync(log, "utf8")
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      : [];
  let [out, err] = ["", ""];
  child.stdout.on("data", (bytes) => (out += bytes));
  child.stderr.on("data", (bytes) => (err += bytes));
  if (signal) {
    const timer = setInterval(() => {
      if (read().some(({ command }) => command === signal.during)) {
        clearInterval(timer);
        child.kill(signal.name);
      }
    }, 20);
  }
  const code = await new Promise((resolve) => child.on("close", (status, killed) => resolve(status ?? killed)));
  const asked = read();
  return {
    code,
    out,
    err,
    asked,
    calls: asked.map(({ program, command, words: all }) =>
      program === "npm" ? `npm ${all.filter((word) => !word.startsWith("-"))[1]}` : command,
    ),
  };
}

const CREATE = "org create scratch";
const DELETE = "org delete scratch";
const DEPLOY = ["project deploy start", "project deploy start", "org assign permset"];
const TEST = "apex run test";

describe("scripts", { concurrency: 4 }, () => {
  it("test.sh uses an org of its own and deletes it", async () => {
    const { code, calls } = await run("test.sh");
    assert.deepEqual([code, calls], [0, [CREATE, ...DEPLOY, TEST, DELETE]]);
  });

  for (const fail of [CREATE, "project deploy start", "org assign permset", TEST]) {
    it(`test.sh stops and deletes its org when \`${fail}\` fails`, async () => {
      const { code, calls } = await run("test.sh", { fail });
      const all = [CREATE, ...DEPLOY, TEST];
      assert.equal(code, 1);
      assert.deepEqual(calls, [...all.slice(0, all.indexOf(fail) + 1), DELETE]);
    });
  }

  for (const [what, summary] of [
    ["coverage is low", { testRunCoverage: "89%" }],
    ["a test fails", { outcome: "Failed" }],
  ]) {
    it(`test.sh fails and deletes its org when ${what}`, async () => {
      const answers = { [TEST]: { summary: { outcome: "Passed", testRunCoverage: "97%", ...summary } } };
      const { code, calls } = await run("test.sh", { answers });
      assert.deepEqual([code, calls.at(-1)], [1, DELETE]);
    });
  }

  it("test.sh deletes its org when it is terminated", async () => {
    const { code, calls } = await run("test.sh", { sleep: { [TEST]: 400 }, signal: { during: TEST, name: "SIGTERM" } });
    assert.notEqual(code, 0);
    assert.equal(calls.at(-1), DELETE);
  });

  it("an org that cannot be deleted is a failure", async () => {
    const { code } = await run("test.sh", { fail: DELETE });
    assert.equal(code, 1);
  });

  it("test.sh leaves an org alone that was there before", async () => {
    const { code, calls, asked } = await run("test.sh", { words: ["mine"] });
    assert.deepEqual([code, calls], [0, [TEST]]);
    assert.ok(asked[0].words.includes("mine"));
  });

  it("scratch-create.sh keeps the org it made", async () => {
    const { code, calls } = await run("scratch-create.sh", { words: ["work"] });
    assert.deepEqual([code, calls], [0, [CREATE, ...DEPLOY]]);
  });

  it("scratch-create.sh deletes the org it could not set up", async () => {
    const { code, calls } = await run("scratch-create.sh", { words: ["work"], fail: "org assign permset" });
    assert.deepEqual([code, calls], [1, [CREATE, ...DEPLOY, DELETE]]);
  });

  it("package-version.sh checks first and prints the ID alone", async () => {
    const { code, calls, out, asked } = await run("package-version.sh", { env: { INSTALLATION_KEY: "s3cret" } });
    assert.deepEqual([code, calls, out.trim()], [0, ["npm check", "package version create"], VERSION]);
    assert.equal(asked[1].words[asked[1].words.indexOf("--installation-key") + 1], "s3cret");
  });

  it("package-version.sh says so when no key protects the version", async () => {
    const { asked } = await run("package-version.sh");
    assert.ok(asked[1].words.includes("--installation-key-bypass"));
  });

  it("package-version.sh builds nothing that does not pass the checks", async () => {
    const { code, calls } = await run("package-version.sh", { fail: "check" });
    assert.deepEqual([code, calls], [1, ["npm check"]]);
  });

  it("package-version.sh fails while validation still runs", async () => {
    const { code, out } = await run("package-version.sh", {
      answers: { "package version create": { Status: "PerformingValidations" } },
    });
    assert.deepEqual([code, out], [1, ""]);
  });

  it("install-beta.sh installs as a customer does, with the namespace in front", async () => {
    const edits = [replace("sfdx-project.json", '"namespace": ""', '"namespace": "acmeco"')];
    const { code, calls, asked } = await run("install-beta.sh", { words: [VERSION], edits });
    assert.deepEqual(
      [code, calls],
      [0, [CREATE, "package install", "project deploy start", "org assign permset", TEST, DELETE]],
    );
    assert.ok(asked[0].words.includes("--no-namespace"));
    assert.ok(asked[1].words.join(" ").includes("--security-type AdminsOnly"));
    assert.ok(asked[3].words.includes("acmeco__Sync_Integration"));
    assert.ok(asked[4].words.includes("acmeco.SyncRequestPublisherTest"));
  });

  it("install-beta.sh deletes its org when the installation fails", async () => {
    const { code, calls } = await run("install-beta.sh", { words: [VERSION], fail: "package install" });
    assert.deepEqual([code, calls], [1, [CREATE, "package install", DELETE]]);
  });

  it("promote.sh promotes, then writes down what is released", async () => {
    const { code, calls, asked } = await run("promote.sh", { words: [VERSION] });
    assert.deepEqual(
      [code, calls],
      [0, ["npm check", "package version report", "package version promote", "npm surface"]],
    );
    assert.equal(asked.at(-1).SURFACE_VERSION, "0.1.0.1");
  });

  for (const [what, report] of [
    ["without validation", { ValidationSkipped: true, HasPassedCodeCoverageCheck: "N/A" }],
    ["without coverage", { HasPassedCodeCoverageCheck: false }],
    ["whose coverage nobody knows", { HasPassedCodeCoverageCheck: null }],
  ]) {
    it(`promote.sh refuses a version ${what}`, async () => {
      const { code, calls } = await run("promote.sh", {
        words: [VERSION],
        answers: { "package version report": report },
      });
      assert.deepEqual([code, calls], [1, ["npm check", "package version report"]]);
    });
  }

  it("a release that is refused writes nothing down", async () => {
    const { code, calls, err } = await run("promote.sh", { words: [VERSION], fail: "package version promote" });
    assert.deepEqual([code, calls.at(-1)], [1, "package version promote"], `${code} after ${calls.join(", ")}: ${err}`);
  });

  for (const script of ["scratch-create.sh", "deploy.sh", "install-beta.sh", "promote.sh"]) {
    it(`${script} without its argument calls nothing`, async () => {
      const { code, calls } = await run(script);
      assert.deepEqual([code, calls], [1, []]);
    });
  }
});
