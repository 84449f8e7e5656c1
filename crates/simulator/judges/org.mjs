// What the judges share: a login by JWT bearer, made with the library jose, a browser without script, and a way to publish.
import assert from "node:assert/strict";
import { SignJWT, importPKCS8 } from "jose";

const { LOGIN_URL, CLIENT_ID, USERNAME, PASSWORD, PRIVATE_KEY, CONTROL_URL, ORG } = process.env;

// An assertion as the vendor's app makes it; `changes` are claims of another value, or the key of somebody else.
export async function assertion({ key, lifetime = "3 minutes", ...claims } = {}) {
  return new SignJWT({ iss: CLIENT_ID, sub: USERNAME, aud: LOGIN_URL, ...claims })
    .setProtectedHeader({ alg: "RS256" })
    .setExpirationTime(lifetime)
    .sign(key ?? (await importPKCS8(PRIVATE_KEY, "RS256")));
}

// Status and JSON of a request to the token endpoint.
export async function askForToken(form) {
  const reply = await fetch(`${LOGIN_URL}/services/oauth2/token`, { method: "POST", body: new URLSearchParams(form) });
  return { status: reply.status, body: await reply.json() };
}

export async function login() {
  const grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  const { status, body } = await askForToken({ grant_type, assertion: await assertion() });
  assert.equal(status, 200, `login answered ${JSON.stringify(body)}`);
  return body;
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

// The control API of the simulator, as the org's admin would use Setup.
export async function control(method, path, body) {
  const request = { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const reply = await fetch(`${CONTROL_URL}/orgs/${ORG}/${path}`, request);
  assert.ok(reply.ok, `${method} ${path} answered ${reply.status}`);
  return reply.status === 204 ? null : reply.json();
}

const attribute = (tag, name) => tag.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];

// A browser that keeps cookies and fills in the only form of a page.
export class Browser {
  #cookies = new Map();

  // Follows redirects within the org; the answer is a page, or the address of the app that it was sent to.
  async open(address, request = {}) {
    let url = new URL(address);
    let next = request;
    for (;;) {
      if (url.origin !== LOGIN_URL) return { app: url };
      const cookie = [...this.#cookies].map((pair) => pair.join("=")).join("; ");
      const reply = await fetch(url, { ...next, redirect: "manual", headers: { ...next.headers, cookie } });
      for (const text of reply.headers.getSetCookie()) {
        const [, name, value] = text.match(/^([^=]+)=([^;]*)/);
        this.#cookies.set(name, value);
      }
      const to = reply.headers.get("location");
      if (!to) return { status: reply.status, url, html: await reply.text() };
      url = new URL(to, url);
      next = {};
    }
  }

  // Submits the form with what is typed in, by the button with this label.
  async submit(page, typed, label) {
    const form = page.html.match(/<form[^>]*>/)[0];
    const fields = {};
    for (const [tag] of page.html.matchAll(/<input[^>]*>/g)) {
      fields[attribute(tag, "name")] = typed[attribute(tag, "name")] ?? attribute(tag, "value") ?? "";
    }
    const [button] = page.html.match(new RegExp(`<button[^>]*>${label}</button>`)) ?? assert.fail(`no button ${label}`);
    if (attribute(button, "name")) fields[attribute(button, "name")] = attribute(button, "value");
    assert.equal(attribute(form, "method"), "post");
    const body = new URLSearchParams(fields);
    return this.open(new URL(attribute(form, "action"), page.url), { method: "POST", body });
  }

  async logIn(page, password = PASSWORD) {
    return this.submit(page, { username: USERNAME, password }, "Log In");
  }
}
