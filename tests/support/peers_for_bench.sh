#!/bin/bash
# peers_for_bench - prints the path of the Node program that bench_collect stands beside, ready
# to run; else why it cannot be had, with exit status 1.
. "$(dirname "$0")/peers.sh"
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
PEERS=$ROOT/build/peers
PEERS_SOURCE=$ROOT/tests/peers
note() { if [ $# -gt 0 ]; then echo "$*"; else cat; fi >&2; }

why=$(peers_why_not)
if [ -n "$why" ]; then
    echo "$why"
    exit 1
fi
if ! peers_bring; then
    echo "npm could not install the packages of tests/peers (see build/peers/npm.log)"
    exit 1
fi
# Node 22 has SQLite inside; before, better-sqlite3 is compiled, which takes two minutes.
cd "$PEERS" || exit 1
have_sqlite() { node -e 'try { require("node:sqlite") } catch { new (require("better-sqlite3"))(":memory:") }' 2>/dev/null; }
if ! have_sqlite; then
    npm rebuild better-sqlite3 >"$PEERS/npm-rebuild.log" 2>&1 </dev/null
    if ! have_sqlite; then
        echo "better-sqlite3 could not be built (see build/peers/npm-rebuild.log)"
        exit 1
    fi
fi
echo "$PEERS/bench_openai.mjs"
