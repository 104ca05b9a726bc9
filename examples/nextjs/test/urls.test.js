import assert from "node:assert/strict";
import {test} from "node:test";

import {directUrl, requestUrl} from "../lib/urls.js";

const both = {DATABASE_URL: "postgres://direct", DATABASE_POOLED_URL: "postgres://pooled"};

test("requests are pooled in production", () => {
  assert.equal(requestUrl({...both, NODE_ENV: "production"}), "postgres://pooled");
});

test("requests go direct on a developer's machine", () => {
  assert.equal(requestUrl({...both, NODE_ENV: "development"}), "postgres://direct");
  assert.equal(requestUrl({DATABASE_URL: "postgres://direct"}), "postgres://direct");
});

test("production without a pooled URL is an error, not a direct connection", () => {
  const env = {DATABASE_URL: "postgres://direct", NODE_ENV: "production"};
  assert.throws(() => requestUrl(env), /DATABASE_POOLED_URL is not set/);
});

test("migrations and LISTEN always go direct", () => {
  assert.equal(directUrl({...both, NODE_ENV: "production"}), "postgres://direct");
  assert.throws(() => directUrl({}), /DATABASE_URL is not set/);
});
