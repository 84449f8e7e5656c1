// Planted defects: the seventeen a study of such packages began with.
import { rename, replace } from "../copy.mjs";
import {
  ACCOUNT_FLOW,
  APEX,
  APP,
  EVENT,
  EXAMPLE_FLOW,
  INTEGRATION,
  LAYOUT,
  LEAD_FLOW,
  PROJECT,
  VIEWER,
  field,
} from "./paths.mjs";
import { permission } from "./pieces.mjs";

export default [
  {
    name: "a field is missing in the integration set",
    edits: [replace(INTEGRATION, permission("Enrichment__c.Domain__c"), "")],
    fails: ["permission-sets"],
  },
  {
    name: "a flow's connector leads nowhere",
    edits: [
      replace(
        ACCOUNT_FLOW,
        "<connector>\n            <targetReference>Publish_Sync_Request",
        "<connector>\n            <targetReference>Publish_Sync_Requests",
      ),
    ],
    fails: ["flows", "flow-scanner"],
  },
  {
    name: "an element no field has",
    edits: [replace(field("Domain__c"), "<length>", "<maxLength>1</maxLength>\n    <length>")],
    fails: ["xml-schema"],
  },
  {
    name: "Apex sets a field the event lacks",
    edits: [replace(APEX, "Record_Count__c =", "Record_Counts__c =")],
    fails: ["apex-types"],
  },
  {
    name: "a publish behavior that does not exist",
    edits: [replace(EVENT, "PublishAfterCommit", "PublishLater")],
    fails: ["xml-schema", "objects"],
  },
  {
    name: "broken XML",
    edits: [replace(`${APP}/tabs/Enrichment__c.tab-meta.xml`, "</motif>", "</motiv>")],
    fails: ["xml-schema"],
  },
  {
    name: "a required field in a permission set",
    edits: [
      replace(
        INTEGRATION,
        permission("Enrichment__c.Domain__c"),
        permission("Enrichment__c.Domain__c") + permission("Enrichment__c.External_Id__c"),
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "repeated elements that do not stand together",
    edits: [
      replace(VIEWER, permission("Enrichment__c.Domain__c", false), ""),
      replace(VIEWER, "    <label>", `${permission("Enrichment__c.Domain__c", false)}    <label>`),
    ],
    fails: ["source-format"],
  },
  {
    name: "a package version without its third part",
    edits: [replace(PROJECT, '"0.1.0.NEXT"', '"0.1.NEXT"')],
    fails: ["versions"],
  },
  {
    name: "Apex that does not parse",
    edits: [
      replace(
        APEX,
        "List<Id> chunk = new List<Id>();\n            for",
        "List<Id> chunk = new List<Id>()\n            for",
      ),
    ],
    fails: ["apex-types"],
  },
  {
    name: "Apex with an unknown type",
    edits: [replace(APEX, "private final Set<Id>", "private final Sett<Id>")],
    fails: ["apex-types"],
  },
  {
    name: "the layout names a field that is gone",
    edits: [replace(LAYOUT, "Domain__c", "Domains__c")],
    fails: ["screens"],
  },
  {
    name: "a flow gives its action an unknown input",
    edits: [replace(LEAD_FLOW, "<name>recordId</name>", "<name>record</name>")],
    fails: ["flows"],
  },
  {
    name: "a suffix that does not exist",
    edits: [rename(field("Domain__c"), field("Domain__c").replace(".field-", ".fields-"))],
    fails: ["source-format", "permission-sets", "screens", "released-surface"],
  },
  {
    name: "a flow reads a switch that does not exist",
    edits: [replace(ACCOUNT_FLOW, "Suppress_Account__c", "Suppress_Accounts__c")],
    fails: ["flows"],
  },
  {
    name: "an edition that does not exist",
    edits: [replace("config/project-scratch-def.json", '"Developer"', '"Develop"')],
    fails: ["project-files"],
  },
  {
    name: "a flow sets a field the event lacks",
    edits: [replace(EXAMPLE_FLOW, "<field>Reason__c", "<field>Reasons__c")],
    fails: ["flows"],
  },
];
