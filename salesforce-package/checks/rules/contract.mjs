// contract.json, which the service and the simulator read, is what the metadata say now; and the two sides agree.
import { contract, contractText } from "../lib/contract.mjs";
import { events } from "../lib/model.mjs";

export const name = "contract";
export const reads = (path) =>
  path === "contract.json" || path === "sfdx-project.json" || /\/(objects|permissionsets|flows|classes)\//.test(path);

/** Records in one look-up of the service; an event never asks for more. */
const LOOKUP_RECORDS_MAX = 100;

export async function run({ tree, model }) {
  const problems = [];
  if (tree.files.get("contract.json") !== contractText(tree, model))
    problems.push("contract.json: is not what the metadata say; run `npm run generate --prefix checks`");
  const now = contract(tree, model);
  for (const event of events(model)) {
    const { record_ids_max: most, reasons } = now.events[event.name];
    if (!(most >= 1 && most <= LOOKUP_RECORDS_MAX))
      problems.push(
        `SyncRequestPublisher: RECORD_IDS_MAX is ${most}; the service looks up 1 to ${LOOKUP_RECORDS_MAX} records at once`,
      );
    const described = event.fields.get("Reason__c")?.element.value("description");
    if (described === undefined) continue;
    for (const reason of reasons)
      if (!described.includes(reason))
        problems.push(`${event.path}: reason ${reason} is published, but Reason__c does not describe it`);
  }
  return problems;
}
