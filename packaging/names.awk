# SPDX-License-Identifier: MIT
# packaging/names.h.in with a #define for each name of packaging/abi.txt that is another one for the linker: it has the
# prefix dps_, or its settings as well. What is also a structure is renamed only where it is called, so that a program
# may declare the structure before it includes the header, which then has an inline function of that name.
# Usage: awk -f packaging/names.awk packaging/abi.txt packaging/names.h.in
FNR == NR {
    if ($1 == "structure")
        structure[$2] = 1
    if ($1 == "function" || $1 == "object") {
        name[++count] = $2
        settings[$2] = $NF ~ /^\+/ ? substr($NF, 2) : ""
    }
    next
}
$0 != "@names@" { print; next }
{
    for (i = 1; i <= count; i++) {
        own = (name[i] ~ /^dps_/ ? "" : "dps_") name[i]
        if (!settings[name[i]] && own != name[i])
            print "#define " name[i] " " own
        else if (settings[name[i]] && name[i] in structure)
            print "#define " name[i] "(...) TPM_DPS_NAME_" settings[name[i]] "(" own ")(__VA_ARGS__)"
        else if (settings[name[i]])
            print "#define " name[i] " TPM_DPS_NAME_" settings[name[i]] "(" own ")"
    }
}
