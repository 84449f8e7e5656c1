// What both judges need: a login by JWT bearer, made with Node's own crypto, and a way to publish.
import { createSign } from "node:crypto";
import assert from "node:assert/strict";

const { LOGIN_URL, CLIENT_ID, USERNAME, PRIVATE_KEY } = process.env;
const base64url = (text) => Buffer.from(text).toString("base64url");

export async function login() {
  const exp = Math.floor(Date.now() / 1000) + 180;
  const head = base64url(JSON.stringify({ alg: "RS256" }));
  const claims = base64url(JSON.stringify({ iss: CLIENT_ID, sub: USERNAME, aud: LOGIN_URL, exp }));
  const signature = createSign("RSA-SHA256").update(`${head}.${claims}`).sign(PRIVATE_KEY, "base64url");
  const reply = await fetch(`${LOGIN_URL}/services/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: `${head}.${claims}.${signature}`,
    }),
  });
  const token = await reply.json();
  assert.equal(reply.status, 200, `login answered ${JSON.stringify(token)}`);
  return token;
}

export async function publish(token, fields) {
  const reply = await fetch(`${token.instance_url}/services/data/v66.0/sobjects/Sync_Request__e`, {
    method: "POST",
    headers: { authorization: `Bearer ${token.access_token}`, "content-type": "application/json" },
    body: JSON.stringify(fields),
  });
  const answer = await reply.json();
  assert.equal(reply.status, 201, JSON.stringify(answer));
  assert.equal(answer.errors[0].statusCode, "OPERATION_ENQUEUED");
}
