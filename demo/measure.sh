#!/bin/sh
# Runs in the pod of the clients: CLIENTS connect by the URL in variable URL_ENV, ask, and
# hold their connections for HOLD seconds, asking on; meanwhile the server's connections are counted
# every 10 ms, by one more direct connection that is not counted. Prints two lines of JSON.
#   sh measure.sh URL_ENV CLIENTS HOLD
# No more than 100 logins are under way at a time: Postgres lets 120 wait for its answer (twice
# max_connections), and whoever comes while they do hears nothing instead of a refusal.
dir=$(mktemp -d)
pooler-load watch-server --events -q >"$dir/watch" 2>"$dir/watch.err" &
watch=$!
tries=0
until grep -q '"watching"' "$dir/watch"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 200 ] || ! kill -0 "$watch" 2>/dev/null; then
    cat "$dir/watch.err" >&2
    exit 1
  fi
  sleep 0.1
done
pooler-load connect --url-env "$1" --clients "$2" --hold "$3" --repeat 0.5 \
  --concurrency 100 -q >"$dir/connect"
kill -TERM "$watch"
wait "$watch"
tail -n 1 "$dir/connect"
tail -n 1 "$dir/watch"
