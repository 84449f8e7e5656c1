// PMD with Salesforce's own and the AppExchange rules, as the security review runs it, at severity 1 to 3.
// PMD skips a class with a syntax error in silence, so this check never stands alone: see apex-types.
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { mkdtempSync, rmSync } from "node:fs";
import { CodeAnalyzer, CodeAnalyzerConfig } from "@salesforce/code-analyzer-core";
import * as engine from "@salesforce/code-analyzer-pmd-engine";
import "../lib/java.mjs";
import { need } from "../lib/tools.mjs";

export const name = "apex-rules";
export const slow = true;
export const reads = (path) => /^force-app\/.*\/(classes|objects)\//.test(path);

const SEVERITY_MAX = 3;
const TAGS = ["Security", "ErrorProne", "Performance", "AppExchange"];
/** Rules left out, each with the reason. */
const LEFT_OUT = {
  AvoidGlobalModifier: "the publisher is global so that customers' own flows can call it",
  "ProtectSensitiveData Content_Hash__c": "a hash over the business values of the same row; nothing is protected by it",
};

export async function run({ tree }) {
  return pmd([join(tree.root, "force-app")], tree.root);
}

/** Problems below some folders; `root` is cut from their paths, if given. */
export async function pmd(folders, root) {
  need("java");
  const work = mkdtempSync(join(tmpdir(), "apex-rules-"));
  try {
    const analyzer = new CodeAnalyzer(
      CodeAnalyzerConfig.fromObject({ log_folder: work, engines: { cpd: { disable_engine: true } } }),
    );
    await analyzer.addEnginePlugin((engine.createEnginePlugin ?? engine.default.createEnginePlugin)());
    const workspace = await analyzer.createWorkspace(folders);
    const rules = await analyzer.selectRules(
      TAGS.map((tag) => `pmd:${tag}`),
      { workspace },
    );
    const results = await analyzer.run(rules, { workspace });
    return results
      .getViolations()
      .filter((violation) => violation.getRule().getSeverityLevel() <= SEVERITY_MAX && !leftOut(violation))
      .map((violation) => {
        const place = violation.getPrimaryLocation();
        return `${place.getFile()?.replace(root ? `${root}/` : "", "")}:${place.getStartLine()}: ${violation.getRule().getName()}: ${violation.getMessage()}`;
      });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function leftOut(violation) {
  const rule = violation.getRule().getName();
  const component = basename(violation.getPrimaryLocation().getFile() ?? "").split(".")[0];
  return rule in LEFT_OUT || `${rule} ${component}` in LEFT_OUT;
}
