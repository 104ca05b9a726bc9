# Two images:
#   docker build --target operator  -t pooler-operator .
#   docker build --target pgbouncer -t pgbouncer .        (--build-arg DEBIAN=trixie for 1.24.1)

ARG DEBIAN=forky

# --- PgBouncer, as Debian ships it -------------------------------------------------------------
FROM docker.io/library/debian:${DEBIAN}-slim AS pgbouncer
LABEL org.opencontainers.image.title="PgBouncer" \
      org.opencontainers.image.description="Debian's PgBouncer, run by pooler-operator" \
      org.opencontainers.image.licenses="ISC"
RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends pgbouncer ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /etc/pgbouncer
# A number, so that Kubernetes can tell that it is not root.
USER 65532
# SIGINT is "no new clients, finish the open transactions, leave"; SIGTERM would wait for clients.
STOPSIGNAL SIGINT
EXPOSE 6432
CMD ["pgbouncer"]

# --- the operator ------------------------------------------------------------------------------
FROM docker.io/library/debian:trixie-slim AS build
RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       g++ cmake ninja-build ccache pkg-config \
       libcpprest-dev libyaml-cpp-dev libspdlog-dev libssl-dev libpq-dev libsimdjson-dev \
       nlohmann-json3-dev prometheus-cpp-dev libmicrohttpd-dev libcli11-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/ccache \
    CCACHE_DIR=/ccache cmake --preset release \
    && CCACHE_DIR=/ccache cmake --build --preset release \
    && install -D -s build/release/bin/pooler-operator /out/pooler-operator \
    && rm -rf build

FROM docker.io/library/debian:trixie-slim AS operator
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pooler-operator" \
      org.opencontainers.image.description="Runs PgBouncer poolers for Postgres on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       ca-certificates libcpprest2.10 libyaml-cpp0.8 libspdlog1.15 libssl3t64 libpq5 libsimdjson25 \
       libprometheus-cpp-core1.0 libmicrohttpd12t64 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && install -D -m 444 /dev/null /etc/pooler-operator/no-certificates.pem
# cpprestsdk reads OpenSSL's default certificates anew for each connection (40 ms of CPU); the API
# server is trusted by its own CA, so the default is empty. Postgres over TLS is given its file.
ENV SSL_CERT_FILE=/etc/pooler-operator/no-certificates.pem \
    SSL_CERT_DIR=/etc/pooler-operator
COPY --from=build /out/pooler-operator /usr/local/bin/pooler-operator
USER 65532
ENTRYPOINT ["/usr/local/bin/pooler-operator"]
