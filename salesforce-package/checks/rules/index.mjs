// Every check, in the order in which they are reported.
import * as apexRules from "./apex-rules.mjs";
import * as apexTests from "./apex-tests.mjs";
import * as apexTypes from "./apex-types.mjs";
import * as contract from "./contract.mjs";
import * as documents from "./documents.mjs";
import * as flowScanner from "./flow-scanner.mjs";
import * as flowSecurity from "./flow-security.mjs";
import * as flows from "./flows.mjs";
import * as manifest from "./manifest.mjs";
import * as objects from "./objects.mjs";
import * as permissionSets from "./permission-sets.mjs";
import * as projectFiles from "./project-files.mjs";
import * as releasedSurface from "./released-surface.mjs";
import * as screens from "./screens.mjs";
import * as scripts from "./scripts.mjs";
import * as secrets from "./secrets.mjs";
import * as sourceFormat from "./source-format.mjs";
import * as versions from "./versions.mjs";
import * as xmlSchema from "./xml-schema.mjs";

export const RULES = [
  sourceFormat,
  xmlSchema,
  objects,
  permissionSets,
  screens,
  flows,
  flowScanner,
  flowSecurity,
  apexTypes,
  apexRules,
  apexTests,
  versions,
  projectFiles,
  secrets,
  scripts,
  contract,
  releasedSurface,
  manifest,
  documents,
];
