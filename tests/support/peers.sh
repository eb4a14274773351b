# shellcheck shell=bash
# peers.sh - for tests against programs and libraries of others (tests/peers, from npm);
# source it after tap.sh:
#
#     . "$(dirname "$0")/../support/tap.sh"
#     . "$(dirname "$0")/../support/peers.sh"
#     peers_install
#     peer_start capture.mjs "$WORK/capture"
#
# peers_install brings the packages of tests/peers/package-lock.json into build/peers, once,
# and skips the whole test where that cannot be done.  It sets
#          PEERS    the folder with node_modules and our own .mjs files beside it
# peer_start sets PEER_PORT, PEER_PID and PEER_LOG.

PEERS=$ROOT/build/peers
PEERS_SOURCE=$ROOT/tests/peers
PEERS_NODE=20 # the oldest major version of Node that the packages work with

# Sets $1 to why the packages cannot be used, else to nothing.
peers_why_not()
{
    local major
    command -v node >/dev/null || { echo "node is not installed ($PEERS_NODE or newer is needed)"; return; }
    major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null)
    [ "${major:-0}" -ge $PEERS_NODE ] ||
        { echo "node ${major:-?} is too old: $PEERS_NODE or newer is needed"; return; }
    command -v npm >/dev/null || { echo "npm is not installed"; return; }
    command -v sqlite3 >/dev/null || { echo "the sqlite3 program is not installed"; return; }
    command -v jq >/dev/null || echo "jq is not installed"
}

# Install where the lock file is not the one that is installed.  Under a lock, since tests
# run beside each other.
peers_bring()
{
    local lock=$PEERS_SOURCE/package-lock.json
    mkdir -p "$PEERS" || return 1
    exec 9>"$PEERS/.lock"
    flock 9 || return 1
    if ! cmp -s "$lock" "$PEERS/.installed"; then
        # Without a network each test would wait for it anew.
        if [ -n "$(find "$PEERS/.failed" -mmin -10 2>/dev/null)" ]; then
            note "npm failed a few minutes ago; remove build/peers/.failed to try at once"
            return 1
        fi
        rm -f "$PEERS/.installed" "$PEERS/.failed"
        cp "$PEERS_SOURCE/package.json" "$lock" "$PEERS" || return 1
        note "installing the packages of tests/peers into build/peers"
        # Scripts of packages are not run: nothing that the tests need has one.
        if ! (cd "$PEERS" && timeout 300 npm ci --ignore-scripts --no-audit --no-fund \
            --fetch-retries 1 --fetch-timeout 60000) >"$PEERS/npm.log" 2>&1 9>&- </dev/null; then
            tail -n 20 "$PEERS/npm.log" | note
            touch "$PEERS/.failed"
            exec 9>&-
            return 1
        fi
        cp "$lock" "$PEERS/.installed"
    fi
    # Node looks for packages beside the file that asks, so the files go there.
    local file
    for file in "$PEERS_SOURCE"/*.mjs; do
        cmp -s "$file" "$PEERS/${file##*/}" || cp "$file" "$PEERS"
    done
    exec 9>&-
}

peers_install()
{
    local why
    why=$(peers_why_not)
    [ -z "$why" ] || skip_all "peers: $why"
    peers_bring ||
        skip_all "peers: npm could not install the packages of tests/peers (see build/peers/npm.log)"
}

# peer_start SCRIPT [ARGUMENT...]: runs build/peers/SCRIPT, which gets the name of a port file
# as its first argument and writes its port there when it is ready.
peer_start()
{
    local script=$1 file
    shift
    file=$(mktemp -u "$WORK/.peer.XXXXXX")
    PEER_LOG=$file.log
    node "$PEERS/$script" "$file" "$@" >"$PEER_LOG" 2>&1 </dev/null &
    PEER_PID=$!
    stop_at_exit "$PEER_PID"
    if ! wait_for 60 test -s "$file"; then
        note "$script did not start:"
        tail -n 20 "$PEER_LOG" | note
        return 1
    fi
    # shellcheck disable=SC2034
    PEER_PORT=$(cat "$file")
}

# The protocols that the program under test knows, as it says itself, one a line.
peer_protocols()
{
    node "$PEERS/recipe.mjs" unknown >"$WORK/.unknown.json" || return 1
    "$M4A1" init "$WORK/.unknown.store" --recipe "$WORK/.unknown.json" 2>&1 </dev/null |
        sed -n 's/.*protocol: expected a protocol (\([^)]*\)), found.*/\1/p' | tr -d ' ' | tr ',' '\n'
}

# The protocols of tests/peers/protocols.mjs, one a line.
peer_table()
{
    node -e 'import(process.argv[1]).then(m => console.log(Object.keys(m.protocols).join("\n")))' \
        "$PEERS/protocols.mjs"
}

# peer_verdicts: lines "NAME<tab>WHAT IS WRONG" from standard input, as results.
peer_verdicts()
{
    local name wrong
    while IFS=$'\t' read -r name wrong; do
        if [ -z "$wrong" ]; then ok "$name"; else not_ok "$name" "$wrong"; fi
    done
}

# peer_scene DIR: a scene of three small pictures, one for each view of our recipes.
peer_scene()
{
    local view
    mkdir -p "$1"
    for view in first_person=0 side=1 overhead=2; do
        [ -s "$WORK/.${view%=*}.jpg" ] ||
            ffmpeg -v error -f lavfi -i "testsrc2=size=160x120:rate=1:duration=3" -vf \
                "trim=start=${view#*=}" -frames:v 1 -y "$WORK/.${view%=*}.jpg" </dev/null || return 1
        cp "$WORK/.${view%=*}.jpg" "$1/${view%=*}.jpg"
    done
}

# peer_store NAME RECIPE [OPTION OF PLAN...]: a store with that scene, planned.
peer_store()
{
    local store=$1 recipe=$2
    shift 2
    peer_scene "$WORK/scenes/room" && "$M4A1" init "$store" --recipe "$recipe" &&
        "$M4A1" ingest "$store" "$WORK/scenes" --quiet && "$M4A1" plan "$store" --quiet "$@"
}
