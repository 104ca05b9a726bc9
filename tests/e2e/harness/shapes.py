"""Database Secrets as others write them, and what each preset publishes."""

from harness.postgres import encode

# Name: the Secret's data for a database `d` of the server `s`.
SHAPES = {
    "URI": lambda d, s: {"uri": d.url()},
    "CloudNativePG": lambda d, s: {
        "username": d.user, "user": d.user, "password": d.password, "dbname": d.name, "host": s.host,
        "port": "5432", "pgpass": "x", "uri": d.url(), "jdbc-uri": "jdbc:postgresql://no", "fqdn-uri": "no"},
    "Crunchy": lambda d, s: {
        "user": d.user, "password": d.password, "verifier": "SCRAM-SHA-256$no", "dbname": d.name,
        "host": s.host, "port": "5432", "uri": d.url(), "pgbouncer-host": "nowhere", "pgbouncer-port": "1",
        "pgbouncer-uri": "postgresql://no:no@nowhere:1/no"},
    "Zalando": lambda d, s: {"username": d.user, "password": d.password},
    "service binding": lambda d, s: {
        "type": "postgresql", "provider": "somebody", "host": s.host, "port": "5432",
        "username": d.user, "password": d.password, "database": d.name},
    "RDS": lambda d, s: {
        "engine": "postgres", "host": s.host, "port": "5432", "username": d.user, "password": d.password,
        "dbname": d.name, "dbInstanceIdentifier": "no"},
    "DATABASE_URL": lambda d, s: {"DATABASE_URL": d.url()},
    "libpq": lambda d, s: {"PGHOST": s.host, "PGUSER": d.user, "PGPASSWORD": d.password,
                           "PGDATABASE": d.name},
    "several hosts": lambda d, s: {
        "uri": f"postgresql://{encode(d.user)}:{encode(d.password)}@{s.host}:5432,{s.address}:5432"
               f"/{encode(d.name)}"},
}


def spec_of(shape, server, database):
    """What the shape leaves to spec.database: with Zalando all but the login."""
    return {"host": server.host, "name": database.name} if shape == "Zalando" else {}


# Name: its variables with the pooled and the direct URL.
PRESETS = {"Supabase": ("DATABASE_POOLED_URL", "DATABASE_URL"), "Prisma": ("DATABASE_URL", "DIRECT_URL"),
           "Neon": ("DATABASE_URL", "DATABASE_URL_UNPOOLED"),
           "Heroku": ("DATABASE_CONNECTION_POOL_URL", "DATABASE_URL")}
