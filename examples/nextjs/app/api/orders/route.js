import {latestOrders, placeOrder} from "../../../lib/orders.js";

export const dynamic = "force-dynamic";

export async function GET() {
  return Response.json(await latestOrders());
}

export async function POST(request) {
  const {customer, item} = await request.json().catch(() => ({}));
  if (typeof customer !== "string" || typeof item !== "string" || !customer || !item) {
    return Response.json({error: "customer and item are needed"}, {status: 400});
  }
  return Response.json(await placeOrder(customer, item), {status: 201});
}
