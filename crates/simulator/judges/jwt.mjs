// The JWT library jose makes the assertions of the JWT bearer flow, and jsforce sends one of them.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { UnsecuredJWT, generateKeyPair } from "jose";
import jsforce from "jsforce";
import { askForToken, assertion, login } from "./org.mjs";

const { LOGIN_URL, CLIENT_ID, CLIENT_SECRET, USERNAME } = process.env;
const grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const token = await login();
assert.match(token.access_token, /^00D[0-9A-Za-z]{12}!/);
assert.match(token.issued_at, /^\d{13}$/, "a text of milliseconds");
assert.equal(token.token_type, "Bearer");
assert.ok(!("refresh_token" in token) && !("expires_in" in token), JSON.stringify(token));
const signed = createHmac("sha256", CLIENT_SECRET).update(token.id + token.issued_at).digest("base64");
assert.equal(token.signature, signed, "the signature is that of id and issued_at");
const identity = await fetch(token.id, { headers: { authorization: `Bearer ${token.access_token}` } });
assert.equal((await identity.json()).username, USERNAME);

for (const aud of ["https://login.salesforce.com", "https://test.salesforce.com", LOGIN_URL]) {
  const { status } = await askForToken({ grant_type, assertion: await assertion({ aud }) });
  assert.equal(status, 200, aud);
}
const oauth2 = new jsforce.OAuth2({ loginUrl: LOGIN_URL });
const asked = await oauth2.requestToken({ grant_type, assertion: await assertion() });
assert.equal(asked.instance_url, LOGIN_URL);

const stranger = await generateKeyPair("RS256");
const claims = { iss: CLIENT_ID, sub: USERNAME, aud: LOGIN_URL, exp: Math.floor(Date.now() / 1000) + 180 };
for (const [name, wrong, error, description] of [
  ["another's key", await assertion({ key: stranger.privateKey }), "invalid_grant", "invalid assertion"],
  ["no signature", new UnsecuredJWT(claims).encode(), "invalid_grant", "invalid assertion"],
  ["long over", await assertion({ lifetime: "10 minutes ago" }), "invalid_grant", "invalid assertion"],
  ["another's audience", await assertion({ aud: "https://example.com" }), "invalid_grant", "audience is invalid"],
  ["another app", await assertion({ iss: "x" }), "invalid_client_id", "client identifier invalid"],
  ["nobody", await assertion({ sub: "x@example.com" }), "invalid_grant", "user hasn't approved this consumer"],
]) {
  const { status, body } = await askForToken({ grant_type, assertion: wrong });
  assert.deepEqual({ status, body }, { status: 400, body: { error, error_description: description } }, name);
}
console.log("jwt: ok");
