// Lightning Flow Scanner, an independent opinion on the flows.
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import scanner from "@flow-scanner/lightning-flow-scanner-core";

export const name = "flow-scanner";
export const reads = (path) => path.includes("/flows/");

/** Rules left out, each with the reason. */
const LEFT_OUT = {
  FlowName: "our flows are named <Object>_Sync_Request; the rule wants a prefix per department",
  APIVersion: "rules/versions.mjs holds one version for everything",
  MissingFaultPath: "rules/flows.mjs, which also knows that a fault path may end",
};

export async function run({ tree, model }) {
  const folder = mkdtempSync(join(tmpdir(), "flows-"));
  try {
    const paths = model.flows.map((flow) => {
      const path = join(folder, basename(flow.path));
      writeFileSync(path, tree.files.get(flow.path));
      return path;
    });
    const rules = Object.fromEntries(
      scanner
        .getRules()
        .filter((rule) => !(rule.name in LEFT_OUT))
        .map((rule) => [rule.name, { severity: "error" }]),
    );
    const results = scanner.scan(await scanner.parse(paths), { rules });
    return results.flatMap(({ flow, ruleResults }) =>
      ruleResults
        .filter((result) => result.occurs)
        .flatMap((result) =>
          result.details.map((detail) =>
            `${flow.name}: ${result.ruleName}: ${detail.name ?? ""} ${result.ruleDefinition?.description ?? ""}`.trim(),
          ),
        ),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
