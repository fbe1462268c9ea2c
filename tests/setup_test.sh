#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/setup.sh finds what is installed, under the names of each Debian, and says what is not. dpkg-query is a
# stand-in.
# Usage: tests/setup_test.sh    from the root of the tree
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. tests/report.sh

cat >"$dir/dpkg-query" <<'END'
#!/bin/sh
for name in "$@"; do :; done
grep -qxF "$name" "${0%/*}/installed" && printf 'install ok installed'
END
chmod +x "$dir/dpkg-query"
setup() {
    PATH="$dir:$PATH" DEPS=no tests/setup.sh "$@" >"$dir/out" 2>&1
}
missing() {
    sed -n 's/^Missing packages: //p' "$dir/out" | tr ' ' '\n'
}

echo 1..5
: >"$dir/installed"
setup check
[ $? = 1 ] && missing >"$dir/all" && [ "$(wc -l <"$dir/all")" -gt 10 ]
report $? "with nothing installed it names the packages, and fails" "$dir/out"
cp "$dir/all" "$dir/installed"
setup check
report $? "with all of them it says nothing" "$dir/out"
sed 's/^libtss2-tcti-.*/&t64/' "$dir/all" >"$dir/installed"
setup check
report $? "so it does where libraries have the names of Debian 13" "$dir/out"
grep -vx swtpm "$dir/all" >"$dir/installed"
setup check
[ $? = 1 ] && [ "$(missing)" = swtpm ]
report $? "with one missing it names that one" "$dir/out"
! grep -nE 'clang[a-z-]*-[0-9]|llvm-[0-9]' tests/setup.sh >"$dir/out"
report $? "no set wants one version of clang, which one Debian has" "$dir/out"
exit $failed
