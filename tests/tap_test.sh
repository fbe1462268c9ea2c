#!/bin/sh
# SPDX-License-Identifier: MIT
# The harness of the Python tests: what passes passes, and whatever else a script does is a failure, in its exit status
# and for prove. In shell, because a harness that lets everything pass would let its own tests pass, too.
# Usage: tests/tap_test.sh BUILD     from the root of the tree
set -u
export BUILD="${1:-build}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export dir
. tests/report.sh

# try [WORD...]: run the script on standard input, by itself and by prove.
try() {
    cat >"$dir/script.py"
    prove --exec tests/run.sh "$dir/script.py" :: "$@" >"$dir/verdict" 2>&1
    verdict=$?
    tests/run.sh "$dir/script.py" "$@" >"$dir/out" 2>&1
    status=$?
}
passed() { [ $status = 0 ] && [ $verdict = 0 ]; }
did_not_pass() { [ $status != 0 ] && [ $verdict != 0 ]; }
# says LINE...: each of them, whole.
says() {
    for line in "$@"; do
        grep -qxF -- "$line" "$dir/out" || return 1
    done
}
# The plan and the results, in their order.
results() { grep -E '^(1\.\.|ok|not ok)' "$dir/out" | tr '\n' ';'; }

try <<'END'
def test_first():
    """it has
    a docstring"""
def test_in_words():
    pass
def tests():
    yield "one of many", lambda: None
END
passed && [ "$(results)" = "1..3;ok 1 - one of many;ok 2 - it has a docstring;ok 3 - in words;" ]
report $? "what passes: tests() first, then test_...(), by docstring or name" "$dir/out"

try <<'END'
from tap import check, same
def test_same():
    same(1 + 1, 3, "the sum")
def test_check():
    check(False, "a reason\nin two lines")
def test_good():
    pass
END
did_not_pass && says "# the sum: got 2, wanted 3" "# a reason" "# in two lines" &&
    [ "$(results)" = "1..3;not ok 1 - same;not ok 2 - check;ok 3 - good;" ] && ! grep -q Traceback "$dir/out"
report $? "what fails says what was got and wanted, and the others go on" "$dir/out"

try <<'END'
def test_raising():
    1 / 0
def test_good():
    pass
END
did_not_pass && says "# Traceback (most recent call last):" "#     1 / 0" "# ZeroDivisionError: division by zero" &&
    [ "$(results)" = "1..2;not ok 1 - raising;ok 2 - good;" ]
report $? "what raises fails with its trace" "$dir/out"

try <<'END'
import sys
def test_exit():
    sys.exit(0)
def test_good():
    pass
END
did_not_pass && [ "$(results)" = "1..2;not ok 1 - exit;ok 2 - good;" ]
report $? "what calls exit fails, even with 0" "$dir/out"

try <<'END'
import os
def test_vanishes():
    os._exit(0)
END
[ $verdict != 0 ]
report $? "what vanishes in the middle fails for prove" "$dir/out"

try <<'END'
def test_offences():
    yield "file:1: wrong"
    yield "file:2: wrong, too"
def test_list():
    return ["in a list"]
def test_none():
    yield from ()
END
did_not_pass && says "# file:1: wrong" "# file:2: wrong, too" "# in a list" &&
    [ "$(results)" = "1..3;not ok 1 - offences;not ok 2 - list;ok 3 - none;" ]
report $? "what yields lines fails, and shows them all" "$dir/out"

try </dev/null
did_not_pass && says "# it has no tests"
report $? "an empty script fails" "$dir/out"

try <<'END'
def test_good()
    pass
END
did_not_pass && says "# SyntaxError: expected ':'"
report $? "a script that cannot be read fails" "$dir/out"

try <<'END'
import no_such_module
def test_good():
    pass
END
did_not_pass && says "# ModuleNotFoundError: No module named 'no_such_module'"
report $? "a script that cannot be imported fails" "$dir/out"

three='def test_apple():
    """a fruit"""
def test_pear():
    """another fruit"""
def test_stone():
    """no plant"""
    1 / 0'

try pear "a fr" <<END
$three
END
passed && [ "$(results)" = "1..2;ok 1 - a fruit;ok 2 - another fruit;" ]
report $? "words choose tests by name and by line" "$dir/out"

try nothing <<END
$three
END
did_not_pass && says "# none of its tests has one of the words ('nothing',)"
report $? "words that nobody has are a failure" "$dir/out"

try <<'END'
import contextlib
@contextlib.contextmanager
def shared():
    print("# made")
    yield 42
    print("# left")
def test_alone():
    print("# alone")
def test_one(number):
    assert number == 42
def test_two(number):
    assert number == 42
END
passed && [ "$(grep '^#' "$dir/out" | tr '\n' ' ')" = "# alone # made # left " ]
report $? "what tests share is made once, when it is needed, and left in the end" "$dir/out"

try <<'END'
def shared():
    1 / 0
def test_one(_):
    pass
def test_alone():
    pass
END
did_not_pass && [ "$(results)" = "1..2;not ok 1 - one;ok 2 - alone;" ]
report $? "who needs what cannot be made fails" "$dir/out"

try <<'END'
import contextlib
from tap import Failed
@contextlib.contextmanager
def shared():
    yield
    raise Failed("it ended badly")
def test_one(_):
    pass
END
did_not_pass && says "ok 1 - one" "# it ended badly"
report $? "what cannot be left in good order is a failure of the script" "$dir/out"

# ended FILE: the clean-up has left the file of the tests in $dir, and has removed the directory of which it tells.
ended() { [ -f "$dir/$1" ] && [ ! -e "$(cat "$dir/$1")" ]; }
try <<'END'
import os
from tap import Programs
def test_one():
    file = os.path.join(os.environ["dir"], "one")
    Programs.cleanup.callback(lambda: open(file, "w").write(Programs.root))
    1 / 0
END
did_not_pass && ended one
report $? "what the tests have begun is ended, also after a failure" "$dir/out"

try <<'END'
import os, signal, time
from tap import Programs
def test_one():
    file = os.path.join(os.environ["dir"], "two")
    Programs.cleanup.callback(lambda: open(file, "w").write(Programs.root))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
END
did_not_pass && ended two && says "#     os.kill(os.getpid(), signal.SIGTERM)"
report $? "... and after SIGTERM, which says where it was" "$dir/out"

try <<'END'
import os, time
JOBS = 2
waits = os.path.join(os.environ["dir"], f"waits-{os.getpid()}")
def test_first():
    while not os.path.exists(waits):
        time.sleep(0.01)
    print("# the first was waiting for the second")
def test_second():
    open(waits, "w").close()
def test_bad():
    1 / 0
END
did_not_pass && says "# the first was waiting for the second" "# ZeroDivisionError: division by zero" &&
    [ "$(results)" = "1..3;ok 1 - first;ok 2 - second;not ok 3 - bad;" ]
report $? "JOBS at a time, told in their order" "$dir/out"

TMPDIR=$dir/missing "$BUILD/port-tests/test_file" >"$dir/out" 2>&1
[ $? = 1 ] && grep -q "^$dir/missing/" "$dir/out"
report $? "a C test puts its files where TMPDIR says" "$dir/out"

echo "1..$count"
exit $failed
