// Twenty clients at once place orders by one Prisma Client, which has as many connections to the pooler.
import { prisma } from "./lib/prisma";

const CLIENTS = 20;
const ORDERS = 10;
// How long a transaction may wait for a connection, and how long it may take: this machine may be busy.
const patience = { maxWait: 60_000, timeout: 60_000 };

class ChangedMind extends Error {}

async function place(kept: boolean) {
  await prisma.$transaction(async (transaction) => {
    await transaction.order.create({ data: { item: "tea" } });
    await transaction.stock.update({ where: { item: "tea" }, data: { remaining: { decrement: 1 } } });
    if (!kept) throw new ChangedMind();
  }, patience);
}

/** Places its orders, all but the first, at which it changes its mind. */
async function client() {
  let placed = 0;
  for (let number = 0; number < ORDERS; number++) {
    try {
      await place(number > 0);
      placed++;
    } catch (error) {
      if (!(error instanceof ChangedMind)) throw error;
    }
  }
  return placed;
}

const results = await Promise.all(Array.from({ length: CLIENTS }, client));
const placed = results.reduce((sum, count) => sum + count, 0);
const listed = await prisma.order.count({ where: { item: "tea" } });
await prisma.$disconnect();
console.log(JSON.stringify({ placed, listed }));
