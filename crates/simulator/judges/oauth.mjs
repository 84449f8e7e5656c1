// jsforce's OAuth2 client: authorization URL with PKCE, code, refresh with and without rotation, revocation, and a
// Connection that refreshes by itself.
import assert from "node:assert/strict";
import jsforce from "jsforce";
import { Browser, control } from "./org.mjs";

const { LOGIN_URL, CLIENT_ID, CLIENT_SECRET, USERNAME, REDIRECT_URI } = process.env;
const config = { loginUrl: LOGIN_URL, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, redirectUri: REDIRECT_URI };
const app = (changes) => new jsforce.OAuth2({ ...config, useVerifier: true, ...changes });
const ask = { scope: "api id refresh_token", state: "a b&c=d" };
const fails = (promise, name, message) => assert.rejects(promise, { name, message });
const expired = ["invalid_grant", "expired access/refresh token"];
const query = (connection) => connection.query("SELECT Id FROM Account");

// Login with a wrong and the right password, then consent.
async function consent(browser, oauth2, label, params = {}) {
  let page = await browser.open(oauth2.getAuthorizationUrl({ ...ask, ...params }));
  if (/type="password"/.test(page.html)) {
    page = await browser.logIn(page, "wrong");
    assert.match(page.html, /check your username and password/);
    page = await browser.logIn(page);
  }
  if (page.html) {
    assert.ok(page.html.includes(USERNAME) && page.html.includes("Perform requests at any time"), page.html);
    page = await browser.submit(page, {}, label);
  }
  assert.ok(page.app, `not back at the app: ${page.status} ${page.html}`);
  assert.equal(page.app.origin + page.app.pathname, REDIRECT_URI);
  assert.equal(page.app.searchParams.get("state"), ask.state);
  return page.app;
}

const browser = new Browser();
const oauth2 = app();
const callback = await consent(browser, oauth2, "Allow");
assert.match(callback.search, /code=[^&]+%3D%3D/, "the code is encoded");
const code = callback.searchParams.get("code");
await fails(app().requestToken(code), "invalid_request", "invalid code verifier");
await fails(app({ useVerifier: false }).requestToken(code), "invalid_grant", /code verifier/);
await fails(app({ clientSecret: "x" }).requestToken(code), "invalid_client", "invalid client credentials");
const token = await oauth2.requestToken(code);
assert.deepEqual(token.scope.split(" ").sort(), ["api", "id", "refresh_token"]);
assert.match(token.id, /\/id\/00D\w{15}\/005\w{15}$/);
assert.ok(!("expires_in" in token), JSON.stringify(token));
await fails(oauth2.requestToken(code), "invalid_grant", "expired authorization code");

// The browser is logged in, and its user has approved: no page is shown, unless the app asks for one.
const silent = await browser.open(oauth2.getAuthorizationUrl(ask));
assert.ok(silent.app?.searchParams.get("code"), "no page was needed");
const denied = await consent(browser, oauth2, "Deny", { prompt: "consent" });
assert.equal(denied.searchParams.get("error"), "access_denied");
assert.equal(denied.searchParams.get("error_description"), "end-user denied authorization");
const stranger = await browser.open(app({ redirectUri: "https://example.com/" }).getAuthorizationUrl(ask));
assert.ok(stranger.status === 400 && /redirect_uri_mismatch/.test(stranger.html), "nobody is sent to a stranger");

// Refresh without rotation: the same token for as long as one likes.
const refreshed = await oauth2.refreshToken(token.refresh_token);
assert.ok(refreshed.access_token !== token.access_token && !("refresh_token" in refreshed));
await fails(oauth2.refreshToken("5Aep861nonsense"), ...expired);
const pair = await Promise.allSettled([1, 2].map(() => oauth2.refreshToken(token.refresh_token)));
assert.deepEqual(pair.map((one) => one.status).sort(), ["fulfilled", "rejected"]);
const loser = pair.find((one) => one.status === "rejected").reason;
assert.equal(`${loser.name}: ${loser.message}`, "invalid_grant: token request is already being processed");

// A Connection refreshes by itself at a 401, once for all that fail together.
const { instance_url: instanceUrl, access_token: accessToken, refresh_token: refreshToken } = token;
const connection = new jsforce.Connection({ oauth2, instanceUrl, accessToken, refreshToken, version: "66.0" });
assert.equal((await connection.identity()).username, USERNAME);
let refreshes = 0;
connection.on("refresh", () => (refreshes += 1));
await oauth2.revokeToken(accessToken);
await Promise.all([1, 2, 3, 4, 5].map(() => query(connection)));
assert.equal(refreshes, 1);
assert.notEqual(connection.accessToken, accessToken);
// Who the user is says another service, in whose words jsforce does not see the end of a session.
await oauth2.revokeToken(connection.accessToken);
await assert.rejects(connection.identity(), { errorCode: "ERROR_HTTP_403", message: "Bad_OAuth_Token" });
await query(connection);
assert.equal(refreshes, 2);
await fails(oauth2.revokeToken("nonsense"), "invalid_token", /.+/);

// With rotation, by a function of the app's own that keeps the newest token.
await control("PUT", "login-policy", { ...(await control("GET", "login-policy")), rotation: true });
let newest = refreshToken;
const refreshFn = (_, done) =>
  oauth2.refreshToken(newest).then((reply) => {
    assert.ok(reply.refresh_token && reply.refresh_token !== newest, "each exchange gives a new refresh token");
    newest = reply.refresh_token;
    done(null, reply.access_token, reply);
  }, done);
const rotating = new jsforce.Connection({ instanceUrl, accessToken: "00Dnone!none", refreshFn, version: "66.0" });
await query(rotating);
const second = newest;
await oauth2.revokeToken(rotating.accessToken);
await query(rotating);
assert.notEqual(newest, second);
// The first Connection has kept the token that was exchanged above: with its next refresh all is over.
await oauth2.revokeToken(connection.accessToken);
await assert.rejects(query(connection), /expired access\/refresh token/);
await assert.rejects(query(rotating), /expired access\/refresh token/);
const { logins } = await control("GET", "login-history");
assert.ok(logins.some(({ status, username }) => /reuse/.test(status) && username === USERNAME), "the history tells");

// Revoking a refresh token ends its access tokens.
const again = app();
const renewed = await again.requestToken((await consent(browser, again, "Allow")).searchParams.get("code"));
await again.revokeToken(renewed.refresh_token);
const over = new jsforce.Connection({ instanceUrl, accessToken: renewed.access_token, version: "66.0" });
await assert.rejects(query(over), { errorCode: "INVALID_SESSION_ID" });
await fails(again.refreshToken(renewed.refresh_token), ...expired);
console.log("oauth: ok");
