// Planted defects: files and their form.
import { remove, replace } from "../copy.mjs";
import { APP, OAUTH, TEST, field } from "./paths.mjs";

export default [
  {
    name: "a class without its meta file",
    edits: [remove(`${TEST}-meta.xml`)],
    fails: ["source-format", "apex-types", "apex-tests"],
  },
  {
    name: "a root that is not what the suffix says",
    edits: [replace(OAUTH, /ExtlClntAppOauthSettings/g, "ExternalClientApplication")],
    fails: ["source-format", "xml-schema"],
  },
  {
    name: "a fullName that differs from the file's",
    edits: [replace(field("Domain__c"), "<fullName>Domain__c", "<fullName>Domains__c")],
    fails: ["source-format"],
  },
  {
    name: "a field without description",
    edits: [replace(field("Domain__c"), /\s*<description>.*<\/description>/, "")],
    fails: ["source-format"],
  },
  {
    name: "an element given twice",
    edits: [replace(field("Domain__c"), "<length>255</length>", "<length>255</length>\n    <length>80</length>")],
    fails: ["xml-schema"],
  },
  {
    name: "a required element left out",
    edits: [
      replace(
        `${APP}/objects/Enrichment__c/listViews/Stale.listView-meta.xml`,
        "<filterScope>Everything</filterScope>",
        "",
      ),
    ],
    fails: ["xml-schema"],
  },
  {
    name: "text where a number belongs",
    edits: [replace(field("Description__c"), "<visibleLines>5", "<visibleLines>five")],
    fails: ["xml-schema"],
  },
];
