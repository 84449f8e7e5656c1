// The Java programs inside @salesforce/code-analyzer-pmd-engine.
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { need } from "./tools.mjs";

const JARS = join(
  dirname(createRequire(import.meta.url).resolve("@salesforce/code-analyzer-pmd-engine")),
  "java-lib",
  "*",
);
/** For programs of a few seconds: compile less, collect simply. Half the time; read by every java started here. */
process.env.JDK_JAVA_OPTIONS ??= "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/** Runs a main class; resolves to { status, stdout, stderr }. */
export function java(...words) {
  need("java");
  return new Promise((resolve) => {
    execFile("java", ["-cp", JARS, ...words], { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve({ status: error ? (error.code ?? 1) : 0, stdout, stderr });
    });
  });
}
