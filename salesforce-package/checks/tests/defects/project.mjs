// Planted defects: project files, secrets, scripts.
import { add, replace } from "../copy.mjs";
import { ECA, LEAD_FLOW, OAUTH, PROJECT } from "./paths.mjs";
import { xml } from "./pieces.mjs";

export default [
  {
    name: "a flow of another API version",
    edits: [replace(LEAD_FLOW, "<apiVersion>66.0", "<apiVersion>65.0")],
    fails: ["versions"],
  },
  {
    name: "CumulusCI with another API version",
    edits: [replace("cumulusci.yml", '"66.0"', '"67.0"')],
    fails: ["versions"],
  },
  { name: "a patch version", edits: [replace(PROJECT, '"0.1.0.NEXT"', '"0.1.1.NEXT"')], fails: ["versions"] },
  {
    name: "an ancestor before the first release",
    edits: [replace(PROJECT, '"definitionFile"', '"ancestorVersion": "HIGHEST",\n      "definitionFile"')],
    fails: ["versions"],
  },
  {
    name: "a namespace in one file only",
    edits: [replace(PROJECT, '"namespace": ""', '"namespace": "acmeco"')],
    fails: ["versions"],
  },
  {
    name: "an unknown key in sfdx-project.json",
    edits: [replace(PROJECT, '"sfdcLoginUrl"', '"loginUrl"')],
    fails: ["project-files"],
  },
  {
    name: "an unknown key in cumulusci.yml",
    edits: [replace("cumulusci.yml", "source_format:", "sourceformat: sfdx\n  source_format:")],
    fails: ["project-files"],
  },
  {
    name: "a number where CumulusCI wants text",
    edits: [replace("cumulusci.yml", '"66.0"', "66.0")],
    fails: ["versions", "project-files"],
  },
  {
    name: "CumulusCI assigns a set that does not exist",
    edits: [replace("cumulusci.yml", "Sync_Integration,", "Sync_Integrations,")],
    fails: ["project-files"],
  },
  {
    name: "a placeholder that nothing replaces",
    edits: [replace(PROJECT, '"OAUTH_LINK_ID_PLACEHOLDER"', '"LINK_ID_PLACEHOLDER"')],
    fails: ["project-files"],
  },
  {
    name: "the app's key and secret",
    edits: [
      add(
        "eca/main/default/extlClntAppGlobalOauthSets/Sync.ecaGlblOauth-meta.xml",
        xml("ExtlClntAppGlobalOauthSettings", "    <label>Secret</label>"),
      ),
    ],
    fails: ["source-format", "xml-schema", "secrets"],
  },
  {
    name: "a real org's ID instead of the placeholder",
    edits: [replace(ECA, "DEV_HUB_ORG_ID_PLACEHOLDER", "00D5g00000Kq1ZZ")],
    fails: ["project-files", "secrets"],
  },
  {
    name: "a scope too many",
    edits: [replace(OAUTH, "Api, RefreshToken", "Api, RefreshToken, Full")],
    fails: ["secrets"],
  },
  { name: "a private key", edits: [add("config/server.txt", "-----BEGIN RSA PRIVATE KEY-----\n")], fails: ["secrets"] },
  {
    name: "secrets no longer ignored",
    edits: [replace(".forceignore", "**/extlClntAppGlobalOauthSets/**\n", "")],
    fails: ["secrets"],
  },
  {
    name: "a command the CLI does not have",
    edits: [replace("scripts/deploy.sh", "sf org assign permset", "sf org assign permissionset")],
    fails: ["scripts"],
  },
  {
    name: "a flag the command does not have",
    edits: [replace("scripts/install-beta.sh", "--publish-wait", "--published-wait")],
    fails: ["scripts"],
  },
  {
    name: "a required flag left out",
    edits: [replace("scripts/deploy.sh", '--source-dir force-app --target-org "$org"', "--source-dir force-app")],
    fails: ["scripts"],
  },
  {
    name: "a value the flag does not take",
    edits: [replace("scripts/install-beta.sh", "AdminsOnly", "Admins")],
    fails: ["scripts"],
  },
  {
    name: "scripts that run on after a failure",
    edits: [replace("scripts/lib.sh", "set -euo pipefail", "set -uo pipefail")],
    fails: ["scripts"],
  },
  {
    name: "a scratch org nobody deletes",
    edits: [replace("scripts/scratch-create.sh", "trap delete_scratch_org EXIT\n", "")],
    fails: ["scripts"],
  },
  {
    name: "a word the shell would split",
    edits: [
      replace(
        "scripts/deploy.sh",
        'permset --name Sync_Integration --name Sync_Standard_Access --name Enrichment_Viewer --target-org "$org"',
        "permset --name Sync_Integration --target-org $org",
      ),
    ],
    fails: ["scripts"],
  },
  {
    name: "a secret in a command of the workflow",
    edits: [
      replace("ci/github-actions.yml", '--client-id "$CLIENT_ID"', "--client-id ${{ secrets.DEV_HUB_CLIENT_ID }}"),
    ],
    fails: ["scripts"],
  },
];
