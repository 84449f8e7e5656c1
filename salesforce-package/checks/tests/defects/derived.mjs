// Planted defects: contract, released surface, manifest, guides.
import { remove, replace } from "../copy.mjs";
import { APEX, APP, LEAD_FLOW, field } from "./paths.mjs";
import { newField, shownEverywhere } from "./pieces.mjs";

export default [
  {
    name: "a contract that is out of date",
    edits: [replace(field("Industry__c"), "<length>120", "<length>121")],
    stale: true,
    fails: ["contract"],
  },
  {
    name: "a reason nobody documented",
    edits: [replace(LEAD_FLOW, "&quot;Converted&quot;", "&quot;Merged&quot;")],
    fails: ["contract"],
  },
  {
    name: "a manifest that is out of date",
    edits: [replace("manifest/package.xml", "        <members>Enrichment_Viewer</members>\n", "")],
    stale: true,
    fails: ["manifest"],
  },
  {
    name: "a field that became shorter",
    edits: [replace(field("Industry__c"), "<length>120", "<length>80")],
    fails: ["released-surface"],
  },
  {
    name: "a picklist value that is gone",
    edits: [replace(field("Status__c"), /<value>\s*<fullName>Pending[\s\S]*?<\/value>/, "")],
    fails: ["released-surface"],
  },
  {
    name: "a relationship with another name",
    edits: [replace(field("Account__c"), "<relationshipName>Enrichments", "<relationshipName>EnrichmentRows")],
    fails: ["released-surface"],
  },
  {
    name: "a new field that is required",
    edits: [
      newField(
        "Extra__c",
        "    <externalId>true</externalId>\n    <length>10</length>\n    <required>true</required>\n    <type>Text</type>",
      ),
      ...shownEverywhere("Extra__c"),
    ],
    fails: ["objects", "screens", "released-surface"],
  },
  {
    name: "a list view that is gone",
    edits: [remove(`${APP}/objects/Enrichment__c/listViews/Stale.listView-meta.xml`)],
    fails: ["released-surface"],
  },
  {
    name: "an input of the global class that is gone",
    edits: [replace(APEX, /@InvocableVariable\([^)]*\)\s*(?=global String reason)/, "")],
    fails: ["flows", "released-surface"],
  },
  {
    name: "a guide that names a permission set wrongly",
    edits: [replace("INSTALL.md", "(`Enrichment_Viewer`)", "(`Enrichment_Reader`)")],
    fails: ["documents"],
  },
  {
    name: "a guide that forgets a switch",
    edits: [replace("INSTALL.md", /Suppress_Lead__c/g, "SuppressLead")],
    fails: ["documents"],
  },
  {
    name: "a link that leads nowhere",
    edits: [replace("README.md", "(INSTALL.md)", "(docs/INSTALL.md)")],
    fails: ["documents"],
  },
];
