# SPDX-License-Identifier: MIT
# A header as C++ can include it, too: extern "C" from after its last #include, or else its guard, to its last #endif.
# An #include inside of an #if has no such place, and is an error. Before all others it includes names.h.
{ line[NR] = $0 }
/^# *if/ { depth++ }
/^# *define/ && !guard { guard = NR }
/^# *include/ || (/^# *define/ && !begin) {
    begin = NR
    if (depth > 1) {
        print FILENAME ": an #include inside of an #if" >"/dev/stderr"
        exit bad = 1
    }
}
/^# *endif/ { depth--; end = NR }
END {
    if (bad)
        exit 1
    for (i = 1; i <= NR; i++) {
        if (i == end)
            print "#ifdef __cplusplus\n}\n#endif\n"
        print line[i]
        if (i == guard)
            print "\n#include \"crypto/bytes/names.h\""
        if (i == begin)
            print "\n#ifdef __cplusplus\nextern \"C\" {\n#endif"
    }
}
