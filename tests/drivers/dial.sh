#!/usr/bin/env bash
# Connects with the connection strings on standard input, by every driver of this folder that reads
# their form, and prints what each was answered. Fields have tabs between, VALUE is in base64:
#
#   dial   NAME FORM VALUE             read; FORM as in cases.cpp
#   dialed DRIVER NAME FORM VALUE      printed: the user and the database, as the server knows them
#   fail   DRIVER NAME FORM VALUE      printed: why not
#
# Requires tests/drivers/run.sh --install.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
work=$here/../../build/drivers
# A person's own defaults would be used, too.
unset "${!PG@}"
lines=$(cat)
"$work/python/bin/python" -B "$here/python/read.py" <<<"$lines"
NODE_PATH=$work/node/node_modules node "$here/node/read.js" <<<"$lines"
"$work/go" <<<"$lines"
java -cp /usr/share/java/postgresql.jar "$here/java/Read.java" <<<"$lines"
