"""Twenty threads place orders, each by its own connection to the pooler."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import F  # noqa: E402
from orders.models import Order, Stock  # noqa: E402

CLIENTS, ORDERS = 20, 10
all_here = Barrier(CLIENTS)


class ChangedMind(Exception):
    pass


def place(kept):
    with transaction.atomic():
        Order.objects.create(item="tea")
        Stock.objects.filter(item="tea").update(remaining=F("remaining") - 1)
        if not kept:
            raise ChangedMind


def client(_):
    placed = 0
    all_here.wait()
    for number in range(ORDERS):
        try:
            place(kept=number > 0)
            placed += 1
        except ChangedMind:
            pass
    # Outside of a transaction, and so that it is read in several pieces.
    listed = sum(1 for _ in Order.objects.iterator(chunk_size=7))
    assert connection.connection.prepare_threshold is None
    connection.close()
    return placed, listed


def main():
    with ThreadPoolExecutor(CLIENTS) as pool:
        results = list(pool.map(client, range(CLIENTS)))
    placed = sum(placed for placed, _ in results)
    # The direct connection has server-side cursors.
    listed = sum(1 for order in Order.objects.using("direct").iterator(chunk_size=7) if order.item == "tea")
    print(json.dumps({"placed": placed, "listed": listed}))
    assert all(0 < listed <= placed + 1 for _, listed in results), results


main()
