# SPDX-License-Identifier: MIT
# packaging/names.h.in with a #define for each name of packaging/abi.txt that does not begin with dps_ by itself.
# Usage: awk -f packaging/names.awk packaging/abi.txt packaging/names.h.in
FNR == NR {
    if (($1 == "function" || $1 == "object") && $2 !~ /^dps_/)
        name[++count] = $2
    next
}
/^#define [a-z]/ { split($2, word, "("); settled[word[1]] = 1 }
$0 != "@names@" { print; next }
{
    for (i = 1; i <= count; i++)
        if (!(name[i] in settled))
            print "#define " name[i] " dps_" name[i]
}
