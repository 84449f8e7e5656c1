// Where Java, Python or shellcheck are missing and cannot be brought, the checks that need them say so.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const CHECK = fileURLToPath(new URL("../check.mjs", import.meta.url));
const NEEDING = ["flow-security", "apex-types", "apex-rules", "scripts"];

function checkWithEmptyPath(ci) {
  const empty = mkdtempSync(join(tmpdir(), "path-"));
  const { status, stdout } = spawnSync(process.execPath, [CHECK], { env: { PATH: empty, ...ci }, encoding: "utf8" });
  rmSync(empty, { recursive: true });
  const state = (name) => new RegExp(`^(\\S+)\\s+${name}\\s`, "m").exec(stdout)?.[1];
  return { status, stdout, states: NEEDING.map(state) };
}

it("a check without its program is skipped, with a sentence", () => {
  const { status, stdout, states } = checkWithEmptyPath({});
  assert.deepEqual([status, states], [0, NEEDING.map(() => "skipped")], stdout);
  assert.match(stdout, /`java` is missing: install default-jre-headless/);
});

it("under CI it fails", () => {
  const { status, states } = checkWithEmptyPath({ CI: "true" });
  assert.deepEqual([status, states], [1, NEEDING.map(() => "FAILED")]);
});
