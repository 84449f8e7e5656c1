// Planted defects: rights given and withheld.
import { replace } from "../copy.mjs";
import { COMPANION, INTEGRATION, VIEWER, field } from "./paths.mjs";
import { permission } from "./pieces.mjs";

export default [
  {
    name: "a field missing in the viewer set",
    edits: [replace(VIEWER, permission("Enrichment__c.Phone__c", false), "")],
    fails: ["permission-sets"],
  },
  {
    name: "a field readers may edit",
    edits: [replace(VIEWER, permission("Enrichment__c.Phone__c", false), permission("Enrichment__c.Phone__c", true))],
    fails: ["permission-sets"],
  },
  {
    name: "a field the service cannot write",
    edits: [replace(INTEGRATION, permission("Enrichment__c.Phone__c"), permission("Enrichment__c.Phone__c", false))],
    fails: ["permission-sets"],
  },
  {
    name: "a field listed twice",
    edits: [
      replace(
        VIEWER,
        permission("Enrichment__c.Phone__c", false),
        permission("Enrichment__c.Phone__c", false).repeat(2),
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "a right on a standard object in a packaged set",
    edits: [replace(INTEGRATION, "<object>Sync_Request__e", "<object>Account")],
    fails: ["permission-sets"],
  },
  {
    name: "a right on an event's field",
    edits: [
      replace(
        INTEGRATION,
        permission("Enrichment__c.Phone__c"),
        permission("Enrichment__c.Phone__c") + permission("Sync_Request__e.Correlation_Id__c"),
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "a system permission in a packaged set",
    edits: [
      replace(
        INTEGRATION,
        "</PermissionSet>",
        "    <userPermissions>\n        <enabled>true</enabled>\n        <name>ApiEnabled</name>\n    </userPermissions>\n</PermissionSet>",
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "a licence on a packaged set",
    edits: [replace(INTEGRATION, "<objectPermissions>", "<license>Salesforce</license>\n    <objectPermissions>")],
    fails: ["permission-sets"],
  },
  {
    name: "readers may delete",
    edits: [replace(VIEWER, "<allowDelete>false", "<allowDelete>true")],
    fails: ["permission-sets"],
  },
  {
    name: "the service may not publish",
    edits: [
      replace(
        INTEGRATION,
        /<allowCreate>true(?=[\s\S]{0,200}Sync_Request__e)(?![\s\S]{0,200}<object>Enrichment__c)/,
        "<allowCreate>false",
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "no access to the publisher",
    edits: [
      replace(
        INTEGRATION,
        "<apexClass>SyncRequestPublisher</apexClass>\n        <enabled>true",
        "<apexClass>SyncRequestPublisher</apexClass>\n        <enabled>false",
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "a tab an API-only user cannot have",
    edits: [
      replace(
        INTEGRATION,
        "</PermissionSet>",
        "    <tabSettings>\n        <tab>Enrichment__c</tab>\n        <visibility>Visible</visibility>\n    </tabSettings>\n</PermissionSet>",
      ),
    ],
    fails: ["permission-sets"],
  },
  {
    name: "readers without the app",
    edits: [replace(VIEWER, "<visible>true", "<visible>false")],
    fails: ["permission-sets"],
  },
  {
    name: "the companion without API access",
    edits: [replace(COMPANION, "ApiEnabled", "ViewSetup")],
    fails: ["permission-sets"],
  },
  {
    name: "the companion cannot read leads",
    edits: [replace(COMPANION, "<object>Lead", "<object>Contact")],
    fails: ["permission-sets"],
  },
  {
    name: "a standard field that does not exist",
    edits: [replace(COMPANION, "Account.Website", "Account.Websites")],
    fails: ["apex-types"],
  },
];
