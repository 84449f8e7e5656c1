// Pieces of metadata that several defects put in or take out.
import { add, replace } from "../copy.mjs";
import { INTEGRATION, LAYOUT, PAGE, VIEWER, field } from "./paths.mjs";

export const permission = (name, editable = true) => `    <fieldPermissions>
        <editable>${editable}</editable>
        <field>${name}</field>
        <readable>true</readable>
    </fieldPermissions>
`;

export const xml = (root, body) => `<?xml version="1.0" encoding="UTF-8"?>
<${root} xmlns="http://soap.sforce.com/2006/04/metadata">
${body}
</${root}>
`;

export const newField = (name, body) =>
  add(
    field(name),
    xml(
      "CustomField",
      `    <fullName>${name}</fullName>\n    <description>New.</description>\n    <label>New</label>\n${body}`,
    ),
  );

export const shownEverywhere = (name) => [
  replace(
    LAYOUT,
    "<field>Country_Code__c</field>",
    `<field>Country_Code__c</field>\n            </layoutItems>\n            <layoutItems>\n                <behavior>Edit</behavior>\n                <field>${name}</field>`,
  ),
  replace(
    PAGE,
    /(\s*<itemInstances>\s*<fieldInstance>(?:(?!<itemInstances>)[\s\S])*?Record\.)Country_Code__c([\s\S]*?)RecordCountry_Code_cField([\s\S]*?<\/itemInstances>)/,
    (all, a, b, c) => `${all}${a}${name}${b}Record${name}${c}`,
  ),
];

export const rights = (name) => [
  replace(
    INTEGRATION,
    "    <hasActivationRequired>",
    `${permission(`Enrichment__c.${name}`)}    <hasActivationRequired>`,
  ),
  replace(
    VIEWER,
    "    <hasActivationRequired>",
    `${permission(`Enrichment__c.${name}`, false)}    <hasActivationRequired>`,
  ),
];
