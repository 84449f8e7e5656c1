// Planted defects: Apex.
import { remove, replace } from "../copy.mjs";
import { APEX, TEST } from "./paths.mjs";
import { newField, rights, shownEverywhere } from "./pieces.mjs";

export default [
  { name: "a class without test", edits: [remove(TEST), remove(`${TEST}-meta.xml`)], fails: ["apex-tests"] },
  { name: "a test without assertion", edits: [replace(TEST, /^\s*Assert\.[\s\S]*?\);$/gm, "")], fails: ["apex-tests"] },
  {
    name: "a query built from input",
    edits: [
      replace(
        APEX,
        "        lastPublished = events;\n    }\n",
        "        lastPublished = events;\n    }\n\n    global static List<SObject> find(String name) {\n        return Database.query('SELECT Id FROM Account WHERE Name = \\'' + name + '\\'');\n    }\n",
      ),
    ],
    fails: ["apex-rules"],
  },
  {
    name: "a field that looks like a secret to the security review",
    edits: [
      newField("Auth_Token__c", "    <externalId>false</externalId>\n    <length>64</length>\n    <type>Text</type>"),
      ...shownEverywhere("Auth_Token__c"),
      ...rights("Auth_Token__c"),
    ],
    fails: ["apex-rules"],
  },
  {
    name: "a class without sharing",
    edits: [replace(APEX, "global with sharing class", "global without sharing class")],
    fails: ["apex-tests"],
  },
  {
    name: "more IDs than one look-up takes",
    edits: [replace(APEX, "RECORD_IDS_MAX = 100", "RECORD_IDS_MAX = 200")],
    fails: ["contract"],
  },
];
