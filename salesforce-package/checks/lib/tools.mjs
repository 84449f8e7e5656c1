// Programs that npm does not bring: Java, Python, shellcheck.
// On a Debian machine where we are root they are installed once; elsewhere a check that needs one says so and is
// skipped, and fails under CI, where a skipped check would pass for a proof.
import { spawnSync } from "node:child_process";

const PACKAGES = { java: "default-jre-headless", python3: "python3", shellcheck: "shellcheck" };
const known = new Map();

function runs(program) {
  const flag = program === "java" ? "-version" : "--version";
  return spawnSync(program, [flag], { stdio: "ignore" }).status === 0;
}

/** Whether the program is there, after one attempt to bring what is missing. */
export function have(program) {
  if (known.size === 0) {
    const missing = Object.keys(PACKAGES).filter((candidate) => !runs(candidate));
    if (missing.length > 0) install(missing.map((candidate) => PACKAGES[candidate]));
    for (const candidate of Object.keys(PACKAGES))
      known.set(candidate, !missing.includes(candidate) || runs(candidate));
  }
  return known.get(program);
}

function install(packages) {
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) return false;
  console.log(`installing, once: ${packages.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...words) => spawnSync("apt-get", words, { env, stdio: ["ignore", "ignore", "ignore"] }).status === 0;
  return apt("update", "-qq") && apt("install", "-y", "-qq", "--no-install-recommends", ...packages);
}

/** Thrown by a check that cannot run here. */
export class Missing extends Error {
  constructor(program) {
    super(`\`${program}\` is missing: install ${PACKAGES[program]} (Debian), or the same of your system`);
  }
}

export function need(program) {
  if (!have(program)) throw new Missing(program);
}
