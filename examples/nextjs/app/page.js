import {revalidatePath} from "next/cache";

import {latestOrders, placeOrder} from "../lib/orders.js";
import Live from "./live.js";

// Every visit asks the database, through the pooler.
export const dynamic = "force-dynamic";

async function order(form) {
  "use server";
  const customer = String(form.get("customer") ?? "").trim();
  const item = String(form.get("item") ?? "").trim();
  if (customer && item) await placeOrder(customer, item);
  revalidatePath("/");
}

export default async function Page() {
  const orders = await latestOrders();
  return (
    <main>
      <h1>Orders</h1>
      <form action={order}>
        <input name="customer" placeholder="Customer" required />{" "}
        <input name="item" placeholder="Item" required /> <button>Order</button>
      </form>
      <ul>
        {orders.map(({id, customer, item}) => (
          <li key={id}>
            #{id} {item} for {customer}
          </li>
        ))}
      </ul>
      <Live />
    </main>
  );
}
