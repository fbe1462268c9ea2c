# SPDX-License-Identifier: MIT
# For the scripts of tests/lint that ask a tool for its opinion: . tests/judge.sh

# judge NAME VERSION: set $tool to that version of the tool. Others judge otherwise, and no source can please them all:
# with another one the script ends as skipped, and says why. None at all is a failure.
judge() {
    tool=$1-$2
    command -v "$tool" >/dev/null || tool=$1
    if ! command -v "$tool" >/dev/null; then
        echo "1..1"
        echo "not ok 1 - $1 is installed"
        exit 1
    fi
    found=$("$tool" --version | sed -n 's/^[^0-9]* \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    case $found in
    "$2" | "$2".*) ;;
    *)
        echo "1..0 # SKIP written for $1 $2, and $1 $found judges otherwise"
        exit 0
        ;;
    esac
}
