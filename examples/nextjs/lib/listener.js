import {EventEmitter} from "node:events";

import pg from "pg";

import {directUrl} from "./urls.js";

// One direct connection per process LISTENs for everybody; behind a transaction pooler the
// notifications would go to whoever has the server connection next.
class Listener extends EventEmitter {
  #starting;

  constructor() {
    super();
    this.setMaxListeners(0);
  }

  // Resolves when notifications from now on will be seen.
  start() {
    this.#starting ??= this.#connect().catch((error) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  async #connect() {
    const client = new pg.Client({connectionString: directUrl(), keepAlive: true});
    client.on("notification", ({payload}) => this.emit("order", payload));
    client.on("error", (error) => console.error("LISTEN connection lost:", error.message));
    client.once("end", () => this.#again());
    await client.connect();
    await client.query("LISTEN orders");
  }

  // As long as anybody listens. What was notified in between is not seen; visitors reload.
  #again() {
    this.#starting = undefined;
    const retry = () => this.listenerCount("order") > 0 && this.start().catch(() => this.#again());
    setTimeout(retry, 1_000).unref();
  }
}

export function listener() {
  globalThis.ordersListener ??= new Listener();
  return globalThis.ordersListener;
}
