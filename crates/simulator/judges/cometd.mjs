// The CometD JavaScript client: handshake, then replay from the tip (-1), from the earliest (-2) and from an ID.
import assert from "node:assert/strict";
import { adapt } from "cometd-nodejs-client";
import { CometD } from "cometd";
import { login, publish } from "./org.mjs";

adapt();
const CHANNEL = "/event/Sync_Request__e";
const event = (n) => ({ Object_Type__c: "Account", Record_Ids__c: "001000000000001AAA", Reason__c: `n${n}` });

async function subscribe(token, replay) {
  const client = new CometD();
  client.configure({
    url: `${token.instance_url}/cometd/66.0/`,
    requestHeaders: { Authorization: `Bearer ${token.access_token}` },
    appendMessageTypeToURL: true,
  });
  client.unregisterTransport("websocket");
  client.registerExtension("replay", {
    outgoing(message) {
      if (message.channel === "/meta/handshake") message.ext = { ...message.ext, replay: true };
      if (message.channel === "/meta/subscribe") message.ext = { ...message.ext, replay: { [CHANNEL]: replay } };
      return message;
    },
  });
  await new Promise((resolve, reject) =>
    client.handshake((reply) => (reply.successful ? resolve() : reject(new Error(JSON.stringify(reply))))),
  );
  const seen = [];
  await new Promise((resolve, reject) =>
    client.subscribe(CHANNEL, (message) => seen.push(message.data), (reply) =>
      reply.successful ? resolve() : reject(new Error(JSON.stringify(reply))),
    ),
  );
  return { seen, close: () => new Promise((resolve) => client.disconnect(resolve)) };
}

async function until(condition, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`waited 5 s for ${what}`);
}

const reasons = (seen) => seen.map((data) => data.payload.Reason__c);
const token = await login();
await publish(token, event(1));

const tip = await subscribe(token, -1);
await publish(token, event(2));
await publish(token, event(3));
await until(() => tip.seen.length >= 2, "two live events");
assert.deepEqual(reasons(tip.seen), ["n2", "n3"], "-1 shows only what comes after the subscribe");
await tip.close();

const earliest = await subscribe(token, -2);
await until(() => earliest.seen.length >= 3, "three retained events");
assert.deepEqual(reasons(earliest.seen), ["n1", "n2", "n3"], "-2 shows everything retained, in order");
const first = earliest.seen[0].event.replayId;
await earliest.close();

const after = await subscribe(token, first);
await until(() => after.seen.length >= 2, "the events after the first");
assert.deepEqual(reasons(after.seen), ["n2", "n3"], "an ID is exclusive");
assert.ok(after.seen[0].event.EventUuid, "events carry EventUuid");
await after.close();
console.log("cometd: ok");
process.exit(0);
