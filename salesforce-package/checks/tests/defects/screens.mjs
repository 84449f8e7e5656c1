// Planted defects: what people see.
import { replace } from "../copy.mjs";
import { APP, LAYOUT, OBJECT, PAGE, field } from "./paths.mjs";

export default [
  {
    name: "a field the layout does not show",
    edits: [
      replace(LAYOUT, /<layoutItems>\s*<behavior>Edit<\/behavior>\s*<field>Phone__c<\/field>\s*<\/layoutItems>/, ""),
    ],
    fails: ["screens"],
  },
  {
    name: "a field the record page does not show",
    edits: [replace(PAGE, "Record.Phone__c", "Record.Domain__c")],
    fails: ["screens"],
  },
  {
    name: "a facet that does not exist",
    edits: [replace(PAGE, "<value>Facet-Details</value>", "<value>Facet-Detail</value>")],
    fails: ["screens"],
  },
  {
    name: "an identifier used twice",
    edits: [replace(PAGE, "RecordPhone_cField", "RecordEmail_cField")],
    fails: ["screens"],
  },
  {
    name: "a list view filters by a value that does not exist",
    edits: [
      replace(`${APP}/objects/Enrichment__c/listViews/Errors.listView-meta.xml`, "<value>Error", "<value>Failed"),
    ],
    fails: ["screens"],
  },
  {
    name: "a list view with an unknown column",
    edits: [replace(`${APP}/objects/Enrichment__c/listViews/All.listView-meta.xml`, "Match_Score__c", "Score__c")],
    fails: ["screens"],
  },
  {
    name: "a compact layout with an unknown field",
    edits: [
      replace(
        `${APP}/objects/Enrichment__c/compactLayouts/Enrichment_Compact.compactLayout-meta.xml`,
        "Match_Score__c",
        "Score__c",
      ),
    ],
    fails: ["screens"],
  },
  {
    name: "the default page is another object's",
    edits: [replace(OBJECT, "Enrichment_Record_Page", "Enrichment_Page")],
    fails: ["screens"],
  },
  {
    name: "the app shows a tab that does not exist",
    edits: [replace(`${APP}/applications/Enrichment.app-meta.xml`, "<tabs>Enrichment__c", "<tabs>Enrichments__c")],
    fails: ["screens"],
  },
  {
    name: "a required field the layout takes for optional",
    edits: [
      replace(
        LAYOUT,
        "<behavior>Required</behavior>\n                <field>External_Id__c",
        "<behavior>Edit</behavior>\n                <field>External_Id__c",
      ),
    ],
    fails: ["screens"],
  },
];
