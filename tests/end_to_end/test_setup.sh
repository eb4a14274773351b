#!/bin/bash
# test_setup.sh - scripts/setup on machines that lack things: stand-ins for dpkg-query, apt-get,
# id and sudo are all it finds in its PATH, so nothing is installed here.
. "$(dirname "$0")/../support/tap.sh"

bin=$WORK/bin
mkdir "$bin"
for tool in sh awk xargs tr cat echo env uname grep; do
    ln -s "$(command -v $tool)" "$bin/$tool"
done

# stand_in NAME: the script on standard input becomes the program NAME.
stand_in()
{
    { echo '#!/bin/sh'; cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}

setup()
{
    PATH=$bin "$ROOT/scripts/setup" "$@"
}

stand_in id <<<'echo 0'
# Knows all packages but those in the file "lacks".
sed -n 's/^\([a-z][a-z0-9.-]*\)  *[a-z0-9:./-]*$/\1/p' "$ROOT/scripts/setup" >"$WORK/packages"
stand_in dpkg-query <<<"while read -r p; do
    grep -qx \"\$p\" $WORK/lacks || echo \"ii  \$p\"
done <$WORK/packages"
stand_in apt-get <<<"echo \"\$DEBIAN_FRONTEND \$*\" >>$WORK/calls"
check "the packages are known" test "$(wc -l <"$WORK/packages")" -ge 20

: >"$WORK/lacks"
check "nothing is missing" setup test
check_equal "it is silent" "$(cat "$TAP_OUT")" ""
check "apt-get was not called" test ! -e "$WORK/calls"

printf 'libcjson-dev\nlibcmocka-dev\n' >"$WORK/lacks"
check "something of the build is missing" setup build
check_equal "apt-get: lists first, then only what is missing, and it asks nothing" \
    "$(cat "$WORK/calls")" "noninteractive -q -y update
noninteractive -q -y install --no-install-recommends libcjson-dev"

rm "$WORK/calls"
check "something of the tests is missing" setup test
check "both are installed" grep -q 'recommends libcjson-dev libcmocka-dev$' "$WORK/calls"

rm "$WORK/calls"
echo python3-sklearn >>"$WORK/lacks"
check "something of the benchmarks is missing" setup bench
check "all three are installed" \
    grep -Eq 'recommends libcjson-dev libcmocka-dev .*python3-sklearn$' "$WORK/calls"

rm "$WORK/calls"
stand_in id <<<'echo 1000'
check_status 1 "not root and no sudo" setup build
check_output "it says what to install" 'apt-get install .*libcjson-dev$'
check "apt-get was not called" test ! -e "$WORK/calls"

stand_in sudo <<<'exec "$@"'
check "not root, but sudo" setup build
check "apt-get was called" grep -q 'noninteractive .*install .*libcjson-dev$' "$WORK/calls"

stand_in apt-get <<<'exit 100'
check_status 1 "apt-get fails" setup build
check_output "it says what to install" 'apt-get install .*libcjson-dev$'

rm "$bin/apt-get" "$bin/dpkg-query"
check_status 1 "no Debian" setup build
check_output "it says what to install" 'apt-get install .*gcc .*libsqlite3-dev .*libutf8proc-dev .*libpcre2-dev '

# A library of one's own, which only pkg-config knows, counts.
for tool in pkg-config gcc make; do
    stand_in $tool <<<'exit 0'
done
check "no Debian, but all is there" setup build
check_equal "it is silent" "$(cat "$TAP_OUT")" ""

check_status 2 "a set that there is not" setup everything
done_testing
