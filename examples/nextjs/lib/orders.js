import {query, transaction} from "./database.js";

export async function latestOrders() {
  const {rows} = await query(
    "SELECT id, customer, item, placed_at FROM orders ORDER BY id DESC LIMIT 20");
  return rows;
}

export function placeOrder(customer, item) {
  return transaction(async (client) => {
    const {rows} = await client.query(
      "INSERT INTO orders (customer, item) VALUES ($1, $2) RETURNING id, customer, item, placed_at",
      [customer, item]);
    // NOTIFY works through a transaction pooler; only LISTEN needs a session.
    await client.query("SELECT pg_notify('orders', $1)", [JSON.stringify(rows[0])]);
    return rows[0];
  });
}
