// Uses a running shop as a visitor would:  node scripts/smoke.js http://localhost:3000 [VISITORS]
//
// Listens for events (direct), places one order per visitor at once (pooled), and expects to read
// each of them back, to have been told of each, and to see the last on the page. Prints one line of
// JSON; exits 1 when something is missing.
const [base = "http://localhost:3000", visitors = "20"] = process.argv.slice(2);
const tag = `smoke-${process.pid}-${Date.now()}`;
const customers = Array.from({length: Number(visitors)}, (_, i) => `${tag}-${i}`);

async function json(path, options) {
  const response = await fetch(base + path, {...options, signal: AbortSignal.timeout(30_000)});
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// Customers of the events that arrive, until all are there.
async function toldOf(reader, told) {
  const decoder = new TextDecoder();
  let text = "";
  while (told.size < customers.length) {
    const {done, value} = await reader.read();
    if (done) throw new Error("the event stream ended");
    text += decoder.decode(value, {stream: true});
    for (const [, data] of text.matchAll(/^data: (.*)\n\n/gm)) {
      const {customer} = JSON.parse(data);
      if (customer.startsWith(tag)) told.add(customer);
    }
  }
}

const aborter = new AbortController();
const timer = setTimeout(() => aborter.abort(new Error("no events within 30 s")), 30_000);
const stream = await fetch(`${base}/api/events`, {signal: aborter.signal});
const reader = stream.body.getReader();
await reader.read(); // ": listening"
const told = new Set();
const telling = toldOf(reader, told);

const placed = await Promise.all(customers.map((customer) => json("/api/orders", {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify({customer, item: "tea"}),
})));
await telling;
clearTimeout(timer);
aborter.abort();

const newest = await json("/api/orders");
const page = await (await fetch(base)).text();
const last = placed.reduce((a, b) => (Number(a.id) > Number(b.id) ? a : b));
const result = {
  placed: placed.length,
  told: told.size,
  listed: newest.filter(({customer}) => customer.startsWith(tag)).length,
  onPage: page.includes(last.customer),
  ...(await json("/api/health")),
};
console.log(JSON.stringify(result));
const listed = Math.min(20, customers.length);
process.exit(result.told === customers.length && result.listed === listed && result.onPage ? 0 : 1);
