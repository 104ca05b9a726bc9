// Brings the database up to date: each file of migrations/ once, in the order of their names.
// Several pods may start at once, so a session lock lets one of them work and the others wait; that
// lock is why this needs the direct URL.
import {readFile, readdir} from "node:fs/promises";
import {join} from "node:path";

import pg from "pg";

import {directUrl} from "../lib/urls.js";

const LOCK = 7_061_983; // any number that nobody else of this database uses
const folder = join(import.meta.dirname, "..", "migrations");

const client = new pg.Client({connectionString: directUrl()});
await client.connect();
try {
  await client.query("SELECT pg_advisory_lock($1)", [LOCK]);
  await client.query(
    "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, at timestamptz DEFAULT now())");
  const {rows} = await client.query("SELECT name FROM migrations");
  const done = new Set(rows.map(({name}) => name));
  for (const name of (await readdir(folder)).sort()) {
    if (done.has(name)) continue;
    await client.query("BEGIN");
    await client.query(await readFile(join(folder, name), "utf8"));
    await client.query("INSERT INTO migrations (name) VALUES ($1)", [name]);
    await client.query("COMMIT");
    console.log(`migrated: ${name}`);
  }
  console.log("the database is up to date");
} finally {
  await client.end();
}
