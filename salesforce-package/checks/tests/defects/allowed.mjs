// What must stay allowed: each of these changes passes every check.
import { replace } from "../copy.mjs";
import { PROJECT, field } from "./paths.mjs";
import { newField, rights, shownEverywhere } from "./pieces.mjs";

export default [
  {
    name: "a new optional field, shown and granted",
    edits: [
      newField(
        "Extra__c",
        "    <externalId>false</externalId>\n    <length>10</length>\n    <required>false</required>\n    <type>Text</type>\n    <unique>false</unique>",
      ),
      ...shownEverywhere("Extra__c"),
      ...rights("Extra__c"),
    ],
    fails: [],
  },
  { name: "a longer field", edits: [replace(field("Industry__c"), "<length>120", "<length>255")], fails: [] },
  {
    name: "a new picklist value",
    edits: [
      replace(
        field("Status__c"),
        "<sorted>false</sorted>",
        "<sorted>false</sorted>\n            <value>\n                <fullName>Paused</fullName>\n                <default>false</default>\n                <label>Paused</label>\n            </value>",
      ),
    ],
    fails: [],
  },
  {
    name: "a namespace in both files",
    edits: [
      replace(PROJECT, '"namespace": ""', '"namespace": "acmeco"'),
      replace("cumulusci.yml", "    # namespace: acmeco      #", "    namespace: acmeco      #"),
    ],
    fails: [],
  },
];
