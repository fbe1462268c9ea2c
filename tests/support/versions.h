/* SPDX-License-Identifier: MIT */
/* Which versions of other people's code a known difference from it is for. Each list of such differences says which
 * versions it was made with; any other version is judged like the nearest of them, and the test says so. */
#ifndef TESTS_SUPPORT_VERSIONS_H
#define TESTS_SUPPORT_VERSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VERSION(major, minor, patch) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8 | (uint32_t)(patch))
/* A difference is in the versions [from, before). */
#define VERSION_FIRST 0
#define VERSION_NONE UINT32_MAX /* "before" none: the last known has it still */

/* Of "4.1.3", or "4.2.0-rc1". */
static inline bool version_read(const char *text, uint32_t *version)
{
    unsigned major, minor, patch;
    if (sscanf(text, "%u.%u.%u", &major, &minor, &patch) != 3) {
        return false;
    }
    *version = VERSION(major, minor, patch);
    return true;
}

static inline bool version_in(uint32_t version, uint32_t from, uint32_t before)
{
    return version >= from && version < before;
}

/* ... with which versions the list was made. */
static inline void version_say(const char *of, uint32_t version, uint32_t from, uint32_t before)
{
    printf("# %s %u.%u.%u\n", of, version >> 16, version >> 8 & 0xFF, version & 0xFF);
    if (!version_in(version, from, before)) {
        printf("# This version is NOT KNOWN: the list of differences is for %u.%u.%u to before %u.%u.%u.\n"
               "# It is used as it stands. What fails may be a difference that is new.\n",
               from >> 16, from >> 8 & 0xFF, from & 0xFF, before >> 16, before >> 8 & 0xFF, before & 0xFF);
    }
}

#endif
