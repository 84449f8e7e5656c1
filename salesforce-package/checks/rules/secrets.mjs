// Nothing secret and nothing of one org's own is in the tree; the external client app asks for no more than it needs.

export const name = "secrets";
export const reads = () => true;

const FORBIDDEN = [
  [
    /\.ecaGlblOauth-meta\.xml$|\/extlClntAppGlobalOauthSets\//,
    "holds consumer key and secret; it stays in the Dev Hub",
  ],
  [/\.(ecaPlcy|ecaOauthPlcy)-meta\.xml$|\/extlClntApp(Oauth)?Policies\//, "policies are the customer's admin's"],
  [/\.connectedApp-meta\.xml$/, "new connected apps are blocked; the external client app replaces it"],
  [/\.(key|pem|p12|jks|crt)$/, "is a key or a certificate"],
  [/\/profiles\//, "profiles are the customer's own"],
];
const SECRETS = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, "a private key"],
  [/\b3MVG9[\w.]{20,}/, "a consumer key"],
  [/\b00D[A-Za-z0-9]{12,15}![\w.]{20,}/, "an access token"],
  [/\bforce:\/\/[^\s@]+@/, "an auth URL"],
  [/\b00D(?!0{9})[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?\b/, "the ID of an org"],
  [/\b0(?:4t|Ho)(?!0{9})[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?\b/, "the ID of one vendor's package"],
];
const SCOPES = new Set(["Api", "RefreshToken"]);
const IGNORED = ["extlClntAppGlobalOauthSets", "extlClntAppOauthPolicies", "extlClntAppPolicies"];

export async function run({ tree, model }) {
  const problems = [];
  for (const [path, text] of tree.files) {
    for (const [pattern, reason] of FORBIDDEN) if (pattern.test(path)) problems.push(`${path}: ${reason}`);
    // After `sf package create` the aliases of sfdx-project.json hold package IDs: that is their place.
    const read = path === "sfdx-project.json" ? text.replace(/"packageAliases"\s*:\s*\{[^}]*\}/, "") : text;
    for (const [pattern, what] of SECRETS) if (pattern.test(read)) problems.push(`${path}: contains ${what}`);
  }
  const ignored = tree.files.get(".forceignore") ?? "";
  for (const folder of IGNORED)
    if (!new RegExp(`^\\*\\*/${folder}/\\*\\*$`, "m").test(ignored))
      problems.push(`.forceignore: does not leave out ${folder}`);
  for (const { path, type, element } of model.documents) {
    if (type === "ExtlClntAppOauthSettings") {
      const scopes = (element.value("commaSeparatedOauthScopes") ?? "").split(",").map((scope) => scope.trim());
      for (const scope of scopes)
        if (!SCOPES.has(scope)) problems.push(`${path}: scope ${scope} is more than the service needs`);
      if (element.value("oauthLink") !== "DEV_HUB_ORG_ID_PLACEHOLDER:OAUTH_LINK_ID_PLACEHOLDER")
        problems.push(`${path}: <oauthLink> must hold the placeholders; sfdx-project.json replaces them`);
    }
    if (type === "ExternalClientApplication") {
      if (!element.value("orgScopedExternalApp")?.startsWith("DEV_HUB_ORG_ID_PLACEHOLDER:"))
        problems.push(`${path}: <orgScopedExternalApp> must hold the placeholder`);
      if (element.value("distributionState") !== "Packaged")
        problems.push(`${path}: <distributionState> is not Packaged`);
    }
  }
  return problems;
}
