import {listener} from "../../../lib/listener.js";

export const dynamic = "force-dynamic";

// New orders as server-sent events.
export async function GET(request) {
  const orders = listener();
  await orders.start();
  const encoder = new TextEncoder();
  let onOrder;
  const body = new ReadableStream({
    start(controller) {
      onOrder = (payload) => controller.enqueue(encoder.encode(`data: ${payload}\n\n`));
      orders.on("order", onOrder);
      controller.enqueue(encoder.encode(": listening\n\n"));
    },
    cancel() {
      orders.off("order", onOrder);
    },
  });
  request.signal.addEventListener("abort", () => orders.off("order", onOrder));
  return new Response(body, {
    headers: {"Content-Type": "text/event-stream", "Cache-Control": "no-store"},
  });
}
