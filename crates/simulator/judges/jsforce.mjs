// jsforce 3: query with paging, upsert by external ID, collections, Bulk API 2.0.
import assert from "node:assert/strict";
import jsforce from "jsforce";
import { login } from "./org.mjs";

const token = await login();
const org = new jsforce.Connection({
  instanceUrl: token.instance_url,
  accessToken: token.access_token,
  version: "66.0",
});

// Upsert by external ID: created, then updated.
const row = { External_Id__c: "one", Name: "One", Employee_Count__c: 5 };
assert.equal((await org.sobject("Enrichment__c").upsert(row, "External_Id__c")).success, true);
await org.sobject("Enrichment__c").upsert({ ...row, Employee_Count__c: 6 }, "External_Id__c");
const one = await org.query("SELECT Id, Employee_Count__c FROM Enrichment__c WHERE External_Id__c = 'one'");
assert.equal(one.totalSize, 1);
assert.equal(one.records[0].Employee_Count__c, 6);

// Collections: one bad record does not spoil the others.
const many = Array.from({ length: 120 }, (_, n) => ({ External_Id__c: `c${n}`, Name: `C ${n}` }));
many[7].Country_Code__c = "much too long";
const results = await org.sobject("Enrichment__c").upsert(many, "External_Id__c", { allowRecursive: true });
assert.equal(results.filter((result) => result.success).length, 119);
assert.equal(results[7].success, false);
assert.equal(results[7].errors[0].statusCode ?? results[7].errors[0].errorCode, "STRING_TOO_LONG");

// Bulk API 2.0 upsert: all three result files.
const bulk = Array.from({ length: 50 }, (_, n) => ({ External_Id__c: `b${n}`, Name: `B, "${n}"` }));
bulk[3].Country_Code__c = "much too long";
for (const record of bulk) record.Country_Code__c ??= "DE";
const outcome = await org.bulk2.loadAndWaitForResults({
  object: "Enrichment__c",
  operation: "upsert",
  externalIdFieldName: "External_Id__c",
  input: bulk,
  pollInterval: 50,
  pollTimeout: 20000,
});
assert.equal(outcome.successfulResults.length, 49);
assert.equal(outcome.failedResults.length, 1);
assert.match(outcome.failedResults[0].sf__Error, /^STRING_TOO_LONG:/);
assert.equal(outcome.unprocessedRecords.length, 0);

// Query with paging: 169 rows in pages of 200 at the least, so ask for the smallest page there is.
await org.sobject("Enrichment__c").upsert(
  Array.from({ length: 200 }, (_, n) => ({ External_Id__c: `p${n}`, Name: `P ${n}` })), "External_Id__c", { allowRecursive: true },
);
const page = await org.query("SELECT Id, Name FROM Enrichment__c ORDER BY Name", {
  autoFetch: false,
  headers: { "Sforce-Query-Options": "batchSize=200" },
});
assert.equal(page.done, false, "a page of 200 of 369 is not the end");
const rest = await org.queryMore(page.nextRecordsUrl);
assert.equal(page.records.length + rest.records.length, page.totalSize);
assert.equal(page.totalSize, 1 + 119 + 49 + 200);
console.log("jsforce: ok");
