// Salesforce's own FlowScanner, which the security review runs: data flowing from outside into privileged elements.
// It always exits 0; its report is what counts.
import { execFile } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { need } from "../lib/tools.mjs";

export const name = "flow-security";
export const reads = (path) => path.includes("/flows/");

const ENGINE = join(
  dirname(createRequire(import.meta.url).resolve("@salesforce/code-analyzer-flow-engine")),
  "../FlowScanner",
);

export async function run({ tree, model }) {
  need("python3");
  const folder = mkdtempSync(join(tmpdir(), "flow-security-"));
  try {
    mkdirSync(join(folder, "flows"));
    for (const flow of model.flows)
      writeFileSync(join(folder, "flows", basename(flow.path)), tree.files.get(flow.path));
    const report = join(folder, "report.json");
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
    const words = ["-m", "flowtest", "--no_log", "-d", join(folder, "flows"), "-j", report];
    const scan = await new Promise((resolve) => {
      execFile("python3", words, { cwd: ENGINE, env }, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
    });
    if (scan.error) return [`FlowScanner failed: ${scan.stderr.trim().split("\n").at(-1)}`];
    const { results } = JSON.parse(readFileSync(report, "utf8"));
    if (!scan.stdout.includes(`found ${model.flows.length} flows`))
      return [`FlowScanner did not scan all ${model.flows.length} flows`];
    return Object.entries(results).flatMap(([query, found]) =>
      found.map((one) =>
        `${one.flow?.[0]?.flow_path ?? ""} ${query}: ${one.query_name ?? one.description ?? ""}`.trim(),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
