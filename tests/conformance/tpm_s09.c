/* SPDX-License-Identifier: MIT */
/* Steps 4 to 10, one after the other. */
#include "tests/conformance/tpm.h"

#define MANY 200

static void whole(struct conformance *c)
{
    struct tpm_flow_counts counts;
    if (!tpm_register(c, 1, &counts)) {
        return;
    }
    conformance_check(c, counts.other == 0, "the flow has used the command 0x%08x as well",
                      counts.first_other);
    conformance_note(c, "%u commands for a registration and one more hub token", counts.commands);
}

static bool registers_once(struct conformance *c)
{
    struct tpm_flow_counts counts;
    const char *before = conformance_stand_on(c, "TPM-S09-001");
    const bool registered = tpm_register(c, 1, &counts);
    conformance_stand_back(c, before);
    return registered;
}

static void again(struct conformance *c)
{
    struct tpm_flow_counts counts;
    if (!registers_once(c)) {
        return;
    }
    if (tpm_register(c, 3, &counts)) {
        conformance_check(c, tpm_as_found(c, &tpm_of(c)->before), "three registrations have left something");
    }
}

static void many(struct conformance *c)
{
    struct tpm_flow_counts counts;
    if (!registers_once(c)) {
        return;
    }
    if (tpm_register(c, MANY, &counts)) {
        conformance_check(c, tpm_as_found(c, &tpm_of(c)->before), "%d registrations have left something",
                          MANY);
    }
    conformance_note(c, "%u commands", counts.commands);
}

/* More sessions than any TPM has, one after the other: none may be lost. */
static void many_sessions(struct conformance *c)
{
    uint32_t session;
    if (!tpm_start_session(c, &session) || !tpm_flush(c, session)) {
        return;
    }
    conformance_judge(c);
    for (int i = 0; i < MANY && !c->failed && !posix_interrupted; i++) {
        if (tpm_start_session(c, &session)) {
            tpm_flush(c, session);
        }
    }
}

const struct conformance_case tpm_cases_flow[] = {
    {"TPM-S09-001", "A whole registration and a hub token must work with the eight commands alone.",
     "spec-notes: Few TPM commands, no NV writes", CONFORMANCE_MUST, 0, whole},
    {"TPM-S09-002", "A device must be able to register again, and leave nothing in the TPM.",
     "spec-notes: A guest in the TPM", CONFORMANCE_MUST, 0, again},
    {"TPM-S09-003", "200 registrations must leave nothing in the TPM.", "spec-notes: A guest in the TPM",
     CONFORMANCE_MUST, CONFORMANCE_SLOW, many},
    {"TPM-S09-004", "200 sessions, one after the other, must be possible.", "TPM 2.0 Part 1 r1.59 30",
     CONFORMANCE_MUST, 0, many_sessions},
    {0},
};
