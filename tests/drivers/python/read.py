"""What libpq (by psycopg), asyncpg, SQLAlchemy and urllib make of their forms; and the grammar of
.NET's connection strings, which Npgsql reads by."""

import base64
import inspect
import re
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg.connect_utils
import psycopg.conninfo
import sqlalchemy.engine


def libpq(text):
    seen = psycopg.conninfo.conninfo_to_dict(text)
    return {**seen, "database": seen["dbname"]}


def by_asyncpg(dsn=None, **arguments):
    """asyncpg's own reading, without a connection: it fails at the first address."""
    read = asyncpg.connect_utils._parse_connect_arguments
    asked = {name: None for name in inspect.signature(read).parameters}
    asked.update(dsn=dsn, timeout=1, statement_cache_size=0, max_cached_statement_lifetime=0,
                 max_cacheable_statement_size=0, **arguments)
    addresses, parameters, _ = read(**asked)
    taken = {}
    taken["host"] = ",".join(host for host, _ in addresses)
    taken["port"] = ",".join(str(port) for _, port in addresses)
    taken["sslmode"] = parameters.sslmode.name.replace("_", "-")
    settings = parameters.server_settings or {}
    if "application_name" in settings:
        taken["application_name"] = settings["application_name"]
    return {**taken, "user": parameters.user, "password": parameters.password,
            "database": parameters.database}


def by_sqlalchemy(text):
    url = sqlalchemy.engine.make_url(text)
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


PARSERS = {
    "uri": {"libpq": libpq, "asyncpg": by_asyncpg, "urllib": by_urllib},
    "libpq": {"libpq": libpq},
    "sqlalchemy": {"SQLAlchemy": by_sqlalchemy},
    "npgsql": {".NET's grammar": dotnet},
}
SKIPPED = {("urllib", "several"): "knows one host only",
           ("urllib", "several-ipv6"): "knows one host only",
           ("SQLAlchemy", "several"): "knows several hosts since 2.0.18",
           ("SQLAlchemy", "several-ipv6"): "knows several hosts since 2.0.18",
           ("asyncpg", "several-ipv6"): "knows no IPv6 address among several hosts"}


def encode(value):
    return base64.b64encode(str(value).encode()).decode()


def main():
    for line in sys.stdin:
        word, case, form, *value = line.rstrip("\n").split("\t")
        if word != "url":
            continue
        text = base64.b64decode(value[0]).decode()
        for name, parse in PARSERS.get(form, {}).items():
            if (name, case) in SKIPPED:
                print("skip", name, case, form, encode(SKIPPED[name, case]), sep="\t")
                continue
            try:
                seen = parse(text)
            except Exception as error:  # whatever a parser throws is what we want to know
                print("fail", name, case, form, encode(f"{type(error).__name__}: {error}"), sep="\t")
                continue
            for part in ("host", "port", "user", "password", "database", "sslmode",
                         "application_name"):
                if part in seen:
                    print("got", name, case, form, part, encode(seen[part]), sep="\t")


main()
