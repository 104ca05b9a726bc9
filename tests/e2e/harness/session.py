"""One client connection that stays open, for statements one after the other."""

import itertools

# A statement a line in, the rows of each out; nothing is begun or committed but by a statement.
CLIENT = """
import json, os, sys, psycopg
with psycopg.connect(os.environ["URL"], autocommit=True) as connection:
    for number, statement in enumerate(sys.stdin):
        cursor = connection.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
        print(json.dumps({"event": f"answer {number}", "rows": rows}, default=str), flush=True)
print(json.dumps({"event": "result"}), flush=True)
"""


class Session:
    def __init__(self, runner, url):
        self._program = runner.start(["python3", "-u", "-c", CLIENT], {"URL": url})
        self._numbers = itertools.count()

    def sql(self, statement):
        """Its rows. One that fails ends the session, and the caller waits in vain."""
        self._program.write(statement + "\n")
        return self._program.event(f"answer {next(self._numbers)}", statement)["rows"]
