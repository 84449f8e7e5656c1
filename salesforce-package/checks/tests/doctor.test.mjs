// The permission set that orgpipe's doctor prints is valid; a test of orgpipe holds the file equal to what it prints.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { validate } from "../rules/xml-schema.mjs";

const path = "Orgpipe_Sync_Access.permissionset-meta.xml";
const text = readFileSync(new URL(`../data/${path}`, import.meta.url), "utf8");

it("the doctor's permission set is valid", async () => {
  assert.deepEqual(await validate([{ path, text }]), []);
});

it("with a misspelt element it would not be", async () => {
  const wrong = text.replaceAll("allowRead>", "allowReads>");
  assert.notDeepEqual(await validate([{ path, text: wrong }]), []);
});
