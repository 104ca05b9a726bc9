"""What libpq (by psycopg), asyncpg, SQLAlchemy and urllib make of their forms; and the grammar of
.NET's connection strings, which Npgsql reads by. `dial` lines are connected with instead."""

import asyncio
import base64
import collections
import contextlib
import re
import sys
import tempfile
import unittest.mock
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import psycopg
import sqlalchemy
import sqlalchemy.ext.asyncio


def libpq(text):
    seen = psycopg.conninfo.conninfo_to_dict(text)
    return {**seen, "database": seen["dbname"]}


def by_asyncpg(dsn=None, **arguments):
    """What asyncpg.connect() would connect to: each address fails, so it tries them all."""
    tried = []

    async def refuse(*, addr, params, **_):
        tried.append((addr, params))
        raise OSError

    with unittest.mock.patch("asyncpg.connect_utils._connect_addr", refuse):
        with contextlib.suppress(OSError):
            asyncio.run(asyncpg.connect(dsn, **arguments))
    parameters = tried[0][1]
    seen = {"host": ",".join(host for (host, _), _ in tried),
            "port": ",".join(str(port) for (_, port), _ in tried),
            "user": parameters.user, "password": parameters.password,
            "database": parameters.database,
            "sslmode": parameters.sslmode.name.replace("_", "-")}
    if dsn:
        seen["application_name"] = parameters.server_settings["application_name"]
    return seen


def by_sqlalchemy(text):
    url = sqlalchemy.make_url(text)
    _, arguments = url.get_dialect()().create_connect_args(url)
    return by_asyncpg(**arguments)


def by_urllib(text):
    """As dj-database-url and its like do it."""
    url = urlsplit(text)
    query = parse_qs(url.query, strict_parsing=True)
    return {"host": url.hostname, "port": url.port, "user": unquote(url.username),
            "password": unquote(url.password), "database": unquote(url.path[1:]),
            "sslmode": query["sslmode"][0], "application_name": query["application_name"][0]}


# DbConnectionStringBuilder: key=value, where a value may stand in quotes that are doubled inside.
DOTNET = re.compile(r"""[\s;]*(?P<key>[^=;\s\x00-\x1f]+(?:\ [^=;\s\x00-\x1f]+)*)\s*=\s*
    (?:"(?P<double>(?:[^"\0]|"")*)"|'(?P<single>(?:[^'\0]|'')*)'
      |(?P<bare>(?!["'\s])(?:[^;\s\x00-\x1f]|\ +[^;\s\x00-\x1f])*(?<!["'])))\s*(?:;|$)""", re.X)


def dotnet(text):
    seen, at = {}, 0
    while at < len(text):
        pair = DOTNET.match(text, at)
        if not pair:
            raise ValueError(f"no pair at {at}")
        value = pair["bare"]
        if pair["double"] is not None:
            value = pair["double"].replace('""', '"')
        elif pair["single"] is not None:
            value = pair["single"].replace("''", "'")
        seen[pair["key"]] = value
        at = pair.end()
    hosts, ports = [], []
    for host in seen["Host"].split(","):
        # A port follows the last colon, if that is the only one or stands after a bracket.
        name, colon, port = host.rpartition(":")
        has_port = colon and (":" not in name or name.endswith("]"))
        hosts.append((name if has_port else host).strip("[]"))
        ports.append(port if has_port else seen["Port"])
    return {"host": ",".join(hosts), "port": ",".join(ports), "user": seen["Username"],
            "password": seen["Password"], "database": seen["Database"],
            "sslmode": seen["SSL Mode"].lower(), "application_name": seen["Application Name"]}


PARTS = ("host", "port", "user", "password", "database", "sslmode", "application_name")
PARSERS = {
    "uri": {"libpq": libpq, "asyncpg": by_asyncpg, "urllib": by_urllib},
    "libpq": {"libpq": libpq},
    "sqlalchemy": {"SQLAlchemy": by_sqlalchemy},
    "npgsql": {".NET's grammar": dotnet},
}


def by_passfile(lines, meant):
    """The password that libpq takes from a password file, for the first host."""
    host, port = meant["host"].split(",")[0], meant["port"].split(",")[0]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(lines)
        file.flush()
        # It reads the file before it connects, which it is not waited for.
        connection = psycopg.pq.PGconn.connect_start(psycopg.conninfo.make_conninfo(
            host=host, hostaddr="127.0.0.1", port=port, user=meant["user"],
            dbname=meant["database"], passfile=file.name).encode())
        seen = {"password": connection.password.decode()}
        connection.finish()
    return seen


def readings(form, text, meant):
    """Pairs of a driver's name and a function that reads."""
    if form == "pgpass":
        yield "libpq", lambda: by_passfile(text, meant)
    for name, parse in PARSERS.get(form, {}).items():
        yield name, lambda parse=parse: parse(text)


# ---- connections

QUESTION = "select current_user || ' ' || current_database()"


def dial_libpq(text):
    with psycopg.connect(text, connect_timeout=10) as connection:
        return connection.execute(QUESTION).fetchone()[0]


def dial_passfile(lines):
    host, port, database, user = (
        re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"((?:\\.|[^:\\])*):", lines.splitlines()[0])[:4])
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        file.write(lines)
        file.flush()
        return dial_libpq(psycopg.conninfo.make_conninfo(
            host=host, port=port, user=user, dbname=database, passfile=file.name))


def dial_asyncpg(dsn):
    async def ask():
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return await connection.fetchval(QUESTION)
        finally:
            await connection.close()
    return asyncio.run(ask())


def dial_sqlalchemy(url):
    async def ask():
        engine = sqlalchemy.ext.asyncio.create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return (await connection.execute(sqlalchemy.text(QUESTION))).scalar_one()
        finally:
            await engine.dispose()
    return asyncio.run(ask())


DIALS = {
    "uri": {"libpq": dial_libpq, "asyncpg": dial_asyncpg},
    "libpq": {"libpq": dial_libpq},
    "pgpass": {"libpq": dial_passfile},
    "sqlalchemy": {"SQLAlchemy": dial_sqlalchemy},
}


def encode(value):
    return base64.b64encode(str(value).encode()).decode()


def main():
    meant = collections.defaultdict(dict)
    for line in sys.stdin:
        word, case, form, *rest = line.rstrip("\n").split("\t")
        value = base64.b64decode(rest[-1]).decode()
        if word == "dial":
            for name, dial in DIALS.get(form, {}).items():
                try:
                    print("dialed", name, case, form, encode(dial(value)), sep="\t")
                except Exception as error:  # as below
                    print("fail", name, case, form, encode(f"{type(error).__name__}: {error}"), sep="\t")
            continue
        if word == "want":
            meant[case, form][rest[0]] = value
            continue
        for name, read in readings(form, value, meant[case, form]):
            try:
                seen = read()
            except Exception as error:  # whatever a parser throws is what we want to know
                print("fail", name, case, form, encode(f"{type(error).__name__}: {error}"), sep="\t")
                continue
            for part in PARTS:
                if part in seen:
                    print("got", name, case, form, part, encode(seen[part]), sep="\t")


main()
