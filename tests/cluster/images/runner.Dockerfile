# Where the clients of the tests run: inside the cluster, as pods of this image. Programs of our own
# (the load tool) come on top as a thin layer, see test_runner in scripts/images.sh.
FROM docker.io/library/debian:trixie-slim
RUN apt-get update -q && apt-get install -qy --no-install-recommends \
      ca-certificates curl nodejs openssl postgresql-client-17 procps \
      python3 python3-psycopg python3-pytest python3-yaml \
      libpq5 libssl3t64 libstdc++6 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1
USER 65532
WORKDIR /tmp
CMD ["sleep", "infinity"]
