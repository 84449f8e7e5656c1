// Planted defects: the flows.
import { add, replace } from "../copy.mjs";
import { ACCOUNT_FLOW, EXAMPLE_FLOW, LEAD_FLOW, field } from "./paths.mjs";
import { xml } from "./pieces.mjs";

export default [
  {
    name: "no fault path",
    edits: [replace(LEAD_FLOW, /<faultConnector>[\s\S]*?<\/faultConnector>/, "")],
    fails: ["flows", "flow-scanner"],
  },
  {
    name: "an element nothing leads to",
    edits: [
      replace(
        LEAD_FLOW,
        "    <description>Asks",
        "    <assignments>\n        <name>Alone</name>\n        <label>Alone</label>\n        <locationX>0</locationX>\n        <locationY>0</locationY>\n        <assignmentItems>\n            <assignToReference>Publish_Fault</assignToReference>\n            <operator>Assign</operator>\n            <value>\n                <stringValue>x</stringValue>\n            </value>\n        </assignmentItems>\n    </assignments>\n    <description>Asks",
      ),
    ],
    fails: ["flows", "flow-scanner"],
  },
  {
    name: "no switch for leads",
    edits: [replace(LEAD_FLOW, "NOT({!$Setup.Sync_Settings__c.Suppress_Lead__c}), ", "")],
    fails: ["flows"],
  },
  { name: "every save counts", edits: [replace(ACCOUNT_FLOW, /OR\(ISNEW\(\).*?\)\)(?=\))/, "TRUE")], fails: ["flows"] },
  {
    name: "brackets that do not match",
    edits: [replace(ACCOUNT_FLOW, "<filterFormula>AND(", "<filterFormula>AND((")],
    fails: ["flows"],
  },
  {
    name: "a reference to nothing",
    edits: [replace(LEAD_FLOW, "<elementReference>Reason<", "<elementReference>Reasons<")],
    fails: ["flows"],
  },
  {
    name: "a standard field the lead does not have",
    edits: [replace(LEAD_FLOW, /ISCHANGED\(\{!\$Record.Email\}\)/, "ISCHANGED({!$Record.EMailAddress})")],
    fails: ["apex-types"],
  },
  {
    name: "a permission as loop guard",
    edits: [replace(ACCOUNT_FLOW, "<filterFormula>AND(", "<filterFormula>AND(NOT({!$Permission.Sync_Bypass}), ")],
    fails: ["flows"],
  },
  {
    name: "a flow that is not active",
    edits: [replace(ACCOUNT_FLOW, "<status>Active", "<status>Draft")],
    fails: ["flows", "flow-scanner"],
  },
  {
    name: "a Process Builder process",
    edits: [replace(ACCOUNT_FLOW, "<processType>AutoLaunchedFlow", "<processType>Workflow")],
    fails: ["flows", "flow-scanner"],
  },
  {
    name: "a record ID in a flow",
    edits: [replace(ACCOUNT_FLOW, "<stringValue>Account<", "<stringValue>001000000000001AAA<")],
    fails: ["flows", "flow-scanner"],
  },
  {
    name: "a flow runs before the customer's",
    edits: [replace(LEAD_FLOW, "<triggerOrder>1800", "<triggerOrder>1")],
    fails: ["flows"],
  },
  {
    name: "a flow says it is about another object",
    edits: [replace(LEAD_FLOW, "<stringValue>Lead<", "<stringValue>Account<")],
    fails: ["flows"],
  },
  {
    name: "a required field of the event is not set",
    edits: [replace(EXAMPLE_FLOW, /<inputAssignments>\s*<field>Object_Type__c[\s\S]*?<\/inputAssignments>/, "")],
    fails: ["flows"],
  },
  {
    name: "an unused variable",
    edits: [
      replace(
        LEAD_FLOW,
        "    <variables>",
        "    <variables>\n        <description>Idle.</description>\n        <name>Idle</name>\n        <dataType>String</dataType>\n        <isCollection>false</isCollection>\n        <isInput>false</isInput>\n        <isOutput>false</isOutput>\n    </variables>\n    <variables>",
      ),
    ],
    fails: ["flow-scanner"],
  },
  {
    name: "an input steers a privileged change",
    edits: [add("unpackaged/examples/bad/flows/Account_Bad.flow-meta.xml", insecureFlow())],
    fails: ["flows", "flow-scanner", "flow-security", "documents"],
  },
];

function insecureFlow() {
  return xml(
    "Flow",
    `    <apiVersion>66.0</apiVersion>
    <description>Changes what its caller names.</description>
    <environments>Default</environments>
    <label>Account Bad</label>
    <processType>AutoLaunchedFlow</processType>
    <recordUpdates>
        <name>Change</name>
        <label>Change</label>
        <locationX>0</locationX>
        <locationY>0</locationY>
        <filterLogic>and</filterLogic>
        <filters>
            <field>Id</field>
            <operator>EqualTo</operator>
            <value>
                <elementReference>Wanted</elementReference>
            </value>
        </filters>
        <inputAssignments>
            <field>Description</field>
            <value>
                <elementReference>Wanted</elementReference>
            </value>
        </inputAssignments>
        <object>Account</object>
    </recordUpdates>
    <runInMode>SystemModeWithoutSharing</runInMode>
    <start>
        <locationX>0</locationX>
        <locationY>0</locationY>
        <connector>
            <targetReference>Change</targetReference>
        </connector>
    </start>
    <status>Active</status>
    <variables>
        <name>Wanted</name>
        <dataType>String</dataType>
        <isCollection>false</isCollection>
        <isInput>true</isInput>
        <isOutput>false</isOutput>
    </variables>`,
  );
}
