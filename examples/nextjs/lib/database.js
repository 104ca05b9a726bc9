import pg from "pg";

import {requestUrl} from "./urls.js";

// One pool per process; "next dev" loads modules again and again, so it lives on globalThis.
// node-postgres keeps these connections open, which is cheap for PgBouncer: it holds a server
// connection only while a transaction runs.
function pool() {
  globalThis.ordersPool ??= new pg.Pool({
    connectionString: requestUrl(),
    max: 20,
    connectionTimeoutMillis: 10_000,
  }).on("error", (error) => console.error("idle connection lost:", error.message));
  return globalThis.ordersPool;
}

export function query(text, values) {
  return pool().query(text, values);
}

// Runs `work(client)` in one transaction; behind a transaction pooler that is the longest time for
// which two statements see the same session.
export async function transaction(work) {
  const client = await pool().connect();
  let broken;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK").catch((lost) => (broken = lost));
    throw error;
  } finally {
    client.release(broken);
  }
}
