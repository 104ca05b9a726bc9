"""Every shape of a database Secret and every preset: what is published, and who connects with it."""

import base64
import os
import subprocess

from harness.shapes import PRESETS, SHAPES, spec_of
from harness.wait import wait_for

# Published key: the form that it has for the drivers (tests/drivers).
FORMS = {"uri": "uri", "pooled-uri": "uri", "direct-uri": "uri", "pooled-jdbc-uri": "jdbc",
         "direct-jdbc-uri": "jdbc", "pgpass": "pgpass", "OWN_LIBPQ": "libpq", "OWN_SQLALCHEMY": "sqlalchemy"}
KEYS = [{"name": "OWN_LIBPQ", "url": "Pooled", "format": "Libpq"},
        {"name": "OWN_SQLALCHEMY", "url": "Pooled", "format": "SQLAlchemyAsyncpg"}]
DRIVERS = {"uri": {"libpq", "asyncpg", "node-postgres", "postgres.js", "pgx", "lib/pq"},
           "jdbc": {"pgjdbc"}, "pgpass": {"libpq"}, "libpq": {"libpq", "pgx", "lib/pq"},
           "sqlalchemy": {"SQLAlchemy"}}
# See KNOWN in tests/drivers/judge.py: these read one host only.
ONE_HOST = {"node-postgres", "lib/pq"}
# The server has none, and lib/pq wants it where a URL is silent.
NO_TLS = {"tls": {"mode": "Disable"}}


def dial(lines):
    """{(case, form): {driver: answer}}; an answer that is no login begins with "fail: "."""
    text = "".join(f"dial\t{case}\t{form}\t{base64.b64encode(value.encode()).decode()}\n"
                   for case, form, value in lines)
    done = subprocess.run([os.environ["POOLER_DIAL"]], input=text, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    answers = {}
    for line in done.stdout.splitlines():
        word, driver, case, form, value = line.split("\t")
        answer = base64.b64decode(value).decode()
        answers.setdefault((case, form), {})[driver] = answer if word == "dialed" else f"fail: {answer}"
    return answers


def connects(pooler, title, forms, several=False):
    """Prints and holds to what is expected which driver connects with which published key."""
    data = pooler.secret()
    answers = dial([(key, form, data[key]) for key, form in forms.items()])
    meant = f"{pooler.database.user} {pooler.database.name}"
    wrong = []
    print(f"\n{title}: {len(data)} keys: {', '.join(sorted(data))}")
    for key, form in forms.items():
        got = answers.get((key, form), {})
        good = sorted(driver for driver, answer in got.items() if answer == meant)
        may_fail = ONE_HOST if several and key in ("direct-uri", "DATABASE_URL") else set()
        bad = {driver: answer for driver, answer in got.items()
               if answer != meant and driver not in may_fail}
        missing = DRIVERS[form] - may_fail - set(good) - set(bad)
        print(f"  {key:<30}{', '.join(good)}{' not: ' + ', '.join(sorted(may_fail)) if may_fail else ''}")
        wrong += [(key, bad, missing)] if bad or missing else []
    assert not wrong, wrong


def test_shapes(make_pooler, postgres):
    """Each shape, with a hostile password, by every driver and every form."""
    for number, (shape, secret) in enumerate(SHAPES.items()):
        database = postgres.database(password="p@:/?#%& \"'\\")
        pooler = make_pooler(f"shape-{number}", db=database, secret=secret(database, postgres),
                             database={**spec_of(shape, postgres, database), **NO_TLS},
                             connectionSecret={"keys": KEYS}).wait_ready()
        connects(pooler, f"Secret of {shape}", {**FORMS, **dict.fromkeys(PRESETS["Supabase"], "uri")},
                 several=shape == "several hosts")


def test_presets(make_pooler, postgres):
    pooler = make_pooler(db=postgres.database(password="p@:/?#%& \"'\\"), database=NO_TLS,
                         connectionSecret={"keys": KEYS}).wait_ready()
    for preset, variables in {**PRESETS, "None": ()}.items():
        pooler.patch(connectionSecret={"preset": preset})
        wait_for(f"the variables of {preset}", lambda: (
            (data := pooler.secret()) and
            {key for key in data if "DATABASE" in key or key == "DIRECT_URL"} == set(variables)))
        connects(pooler, f"preset {preset}", {**FORMS, **dict.fromkeys(variables, "uri")})
