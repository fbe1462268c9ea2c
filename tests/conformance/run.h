/* SPDX-License-Identifier: MIT */
/* dps-conformance: the cases of one run and what came of them. Suites need only conformance.h. */
#ifndef TESTS_CONFORMANCE_RUN_H
#define TESTS_CONFORMANCE_RUN_H

#include "tests/conformance/conformance.h"
#include <stdio.h>

enum run_result {
    RUN_NOT_RUN, /* the run ended before it: its subject cannot be reached, or a signal came */
    RUN_PASSED,
    RUN_FAILED,
    RUN_UNMET, /* a SHOULD that does not hold, without --strict */
    RUN_SKIPPED
};
#define RUN_RESULT_COUNT 5

struct run_case {
    const struct conformance_suite *suite;
    const struct conformance_case *test;
    enum run_result result;
    const char *missing; /* skipped: the case that tests the precondition; null: skipped for another reason */
    char text[1024];     /* why, unless it passed */
    char notes[2048];
    uint64_t milliseconds;
};

struct run {
    struct conformance conformance;
    bool strict, quick;
    uint64_t unix_seconds; /* when it began */
    const char *ended;     /* why it ended early, or null */
    char why[512];         /* storage for that */
    struct run_case *cases;
    size_t case_count;
    unsigned counts[RUN_RESULT_COUNT];
    unsigned
        missing; /* of those that were skipped: what they depend on does not hold, so that the run is not a success */
};

extern const struct conformance_suite *const run_suites[3];

/* The cases of all suites that are named by selected (ids or their beginnings; none: all), of wanted suites only,
 * unless all. Allocates r->cases. Returns: 0; BYTES_E_USAGE with a sentence in why. */
int run_select(struct run *r, const struct posix_option_list *selected, bool all, char *why, size_t why_size);
/* Run them; TAP goes to out as it comes. Returns an exit code. */
int run_all(struct run *r, FILE *out);

/* ---- report*.c: each writes a whole report of r; a failure shows in ferror ---- */

void report_tap_begin(FILE *out, const struct run *r);
void report_tap_case(FILE *out, const struct run_case *c, size_t number);
void report_tap_end(FILE *out, const struct run *r);
/* For people, to standard error. */
void report_summary(FILE *out, const struct run *r);
void report_junit(FILE *out, const struct run *r);
void report_json(FILE *out, const struct run *r);
/* A text as a JSON string; what is not UTF-8 becomes U+FFFD. */
void report_json_text(FILE *out, const char *text, size_t len);
const char *report_result_name(enum run_result result);
const char *report_level_name(const struct conformance_case *test);

/* ---- list.c ---- */

/* All cases of r. form: "" or "text", "json", "markdown". Returns: 0; BYTES_E_USAGE for another form. */
int list_cases(FILE *out, const struct run *r, const char *form);

#endif
