// Planted defects: objects, fields, event, settings.
import { add, rename, replace } from "../copy.mjs";
import { APP, EVENT, SETTING, field } from "./paths.mjs";
import { xml } from "./pieces.mjs";

export default [
  {
    name: "a text longer than text can be",
    edits: [replace(field("Industry__c"), "<length>120", "<length>300")],
    fails: ["objects"],
  },
  {
    name: "more decimals than digits",
    edits: [replace(field("Match_Score__c"), "<precision>5", "<precision>1")],
    fails: ["objects", "released-surface"],
  },
  {
    name: "an upsert key that is not unique",
    edits: [replace(field("External_Id__c"), "<unique>true", "<unique>false")],
    fails: ["objects", "released-surface"],
  },
  {
    name: "a lookup that keeps accounts from being deleted",
    edits: [replace(field("Account__c"), "SetNull", "Restrict")],
    fails: ["objects"],
  },
  {
    name: "a detail of a standard object",
    edits: [replace(field("Lead__c"), "<type>Lookup", "<type>MasterDetail")],
    fails: ["objects", "permission-sets", "released-surface"],
  },
  {
    name: "a checkbox that is on by default",
    edits: [replace(field("Suppress_All__c", "Sync_Settings__c"), "<defaultValue>false", "<defaultValue>true")],
    fails: ["objects"],
  },
  {
    name: "a switch with a positive name",
    edits: [
      rename(field("Suppress_Lead__c", "Sync_Settings__c"), field("Lead_Enabled__c", "Sync_Settings__c")),
      replace(field("Lead_Enabled__c", "Sync_Settings__c"), "<fullName>Suppress_Lead__c", "<fullName>Lead_Enabled__c"),
    ],
    fails: ["objects", "flows", "documents", "released-surface"],
  },
  { name: "a setting the admin cannot see", edits: [replace(SETTING, "Public", "Protected")], fails: ["objects"] },
  {
    name: "a list setting instead of a hierarchy",
    edits: [replace(SETTING, "Hierarchy", "List")],
    fails: ["objects", "apex-types"],
  },
  {
    name: "events published before the commit",
    edits: [replace(EVENT, "PublishAfterCommit", "PublishImmediately")],
    fails: ["objects"],
  },
  { name: "a standard-volume event", edits: [replace(EVENT, "HighVolume", "StandardVolume")], fails: ["objects"] },
  {
    name: "a type events do not have",
    edits: [replace(field("Correlation_Id__c", "Sync_Request__e"), "<type>Text", "<type>Email")],
    fails: ["objects", "released-surface"],
  },
  {
    name: "more IDs than the event's field holds",
    edits: [replace(field("Record_Ids__c", "Sync_Request__e"), "<length>32768", "<length>1000")],
    fails: ["objects", "released-surface"],
  },
  {
    name: "a long text that is required",
    edits: [replace(field("Description__c"), "<trackTrending>", "<required>true</required>\n    <trackTrending>")],
    fails: ["objects", "permission-sets", "screens", "released-surface"],
  },
  {
    name: "a second event",
    edits: [
      add(
        `${APP}/objects/Sync_Done__e/Sync_Done__e.object-meta.xml`,
        xml(
          "CustomObject",
          "    <deploymentStatus>Deployed</deploymentStatus>\n    <description>Second.</description>\n    <eventType>HighVolume</eventType>\n    <label>Sync Done</label>\n    <pluralLabel>Sync Done</pluralLabel>\n    <publishBehavior>PublishAfterCommit</publishBehavior>",
        ),
      ),
    ],
    fails: ["objects", "permission-sets"],
  },
  {
    name: "a formula field",
    edits: [replace(field("Domain__c"), "<label>", "<formula>Website__c</formula>\n    <label>")],
    fails: ["objects"],
  },
];
