/* SPDX-License-Identifier: MIT */
/* dps-conformance: what a case is, what a suite is, and how a case says what it saw.
 *
 * A case is one requirement on a TPM, a service or a device client: an id, a sentence, where it comes from, and a
 * function that tries it against the real thing. The same data makes --list, the reports, and the table of
 * requirements in tests/conformance/REQUIREMENTS.md; so nothing is claimed that is not run.
 *
 * A case function calls conformance_check for each thing that must hold; the first that does not fails the case. It
 * must leave its subject as it found it, also when it fails.
 *
 * A case judges its own requirement and nothing else. What it only stands on (an enrollment, a key in the TPM, a blob
 * that opens) another case is about: between conformance_stand_on and conformance_stand_back a check that does not hold
 * skips the case, with the reason and the id of that other case. So one fault fails one case, and no run in which
 * something could not be tried ends with 0. */
#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include "port/posix/options.h"
#include "port/posix/posix.h"

struct conformance;

enum conformance_level {
    CONFORMANCE_MUST,  /* failing it fails the run */
    CONFORMANCE_SHOULD /* failing it is reported, and fails the run only with --strict */
};

/* What a case asks of its surroundings; without it the case is skipped with a reason. */
enum {
    CONFORMANCE_DESTRUCTIVE = 1, /* changes what the subject keeps (TPM2_Clear): only with --destructive */
    CONFORMANCE_SLOW = 2         /* takes longer than ten seconds on hardware: left out with --quick */
};

struct conformance_case {
    const char *id; /* SUITE-Snn-nnn: suite, step of the flow (S00: about all), number. Never reused */
    const char *requirement; /* one sentence in our words, with "must" or "should" */
    const char *source; /* "TPM 2.0 Part 3 r1.59 §12.5", "EK Profile 2.5 §B.3.3", "SRS_NODE_..._18_034",
                                "Azure IoT C SDK: ...", "spec-notes: ..." */
    enum conformance_level level;
    unsigned needs;
    void (*run)(struct conformance *c);
};

/* One of the three subjects. A suite has options of its own (their first one selects it), and a state of its own, which
 * its cases reach through c->suite_state. */
struct conformance_suite {
    const char *name;  /* "TPM", "SVC", "DEV": the beginning of its ids */
    const char *title; /* "the TPM", ... for --help and reports */
    const struct conformance_case *const
        *groups; /* arrays of cases, each ended by an id of null; ended by null */
    struct posix_option_group options;
    /* Has the user asked for it? */
    bool (*wanted)(void);
    /* Reach the subject, once before its cases; close always follows, also a failed open. Returns 0, or an exit code
     * (enum posix_exit) with a sentence in why. */
    int (*open)(struct conformance *c, char *why, size_t why_size);
    void (*close)(struct conformance *c);
    /* Around each case, or null: note the state of the subject before, and check afterwards that it is as it was; what
     * is left over is removed. after runs however the case ended. What it finds is not what the case has checked: it
     * stands on another case. */
    void (*before)(struct conformance *c);
    void (*after)(struct conformance *c);
};
extern const struct conformance_suite conformance_tpm, conformance_service, conformance_device;

/* The run, as cases see it. */
struct conformance {
    const char *seed; /* --seed, or a random one that was printed */
    struct crypto_drbg
        drbg; /* seeded anew for each case by seed and id: a case run alone sees the same bytes */
    struct crypto_entropy random; /* from drbg */
    bool destructive;
    void *suite_state;
    const struct conformance_case *now;
    /* the outcome of the case that runs; only the functions below write it */
    bool failed, skipped;
    const char *missing; /* the case that tests what this one depends on, and which does not hold; or null */
    const char *stands_on; /* the case that is about what is checked now, or null: this one */
    bool judges;           /* conformance_judge was called */
    int gave_up;           /* exit code, once the subject is lost: no further case of its suite is run */
    char text[1024];       /* why it failed or was skipped */
    char notes[2048];      /* lines, each ended by '\n': what was seen */
    unsigned checks;
};

/* One thing that must hold in the case that runs. The first that does not is kept as its failure, with the formatted
 * text: what was expected and what came instead. Returns: holds, so that a case can stop where going on makes no
 * sense. */
bool conformance_check(struct conformance *c, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* From here until conformance_stand_back, what is checked is what the case with the id owner is about. In any other
 * case a check that does not hold skips that case. Calls nest; the innermost counts. Returns: what
 * conformance_stand_back needs. */
const char *conformance_stand_on(struct conformance *c, const char *owner);
void conformance_stand_back(struct conformance *c, const char *before);
/* From here to its end everything is what this case is about, whatever helpers say that they stand on: the same has
 * worked before in its ordinary form. */
void conformance_judge(struct conformance *c);
/* This case cannot be tried here, and why. A case that neither checks nor skips anything fails. */
void conformance_skip(struct conformance *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Something worth reading in the report, pass or fail. */
void conformance_note(struct conformance *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The subject cannot be reached any more: the case fails, and the run of this suite ends with exit_code. */
void conformance_give_up(struct conformance *c, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
