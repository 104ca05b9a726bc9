# The clients of the demo on a cluster of yours: the project's load tool, and psql.
#   docker build -f demo/clients.Dockerfile -t pooler-clients .
FROM docker.io/library/debian:trixie-slim AS build
RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       g++ cmake ninja-build pkg-config \
       libcpprest-dev libyaml-cpp-dev libspdlog-dev libssl-dev libpq-dev libsimdjson-dev \
       nlohmann-json3-dev prometheus-cpp-dev libmicrohttpd-dev libcli11-dev libgtest-dev libgmock-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake --preset dev && cmake --build --preset dev --target pooler-load

FROM docker.io/library/debian:trixie-slim
RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends \
       postgresql-client libssl3t64 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/dev/bin/pooler-load /usr/local/bin/
USER 65532
WORKDIR /tmp
CMD ["sleep", "infinity"]
