/* SPDX-License-Identifier: MIT */
#include "tests/conformance/run.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct conformance_suite *const run_suites[3] = {&conformance_tpm, &conformance_service,
                                                       &conformance_device};
#define SUITE_COUNT (sizeof run_suites / sizeof run_suites[0])

/* ---- What cases call ---- */

/* The case cannot be judged: a precondition does not hold. */
static void miss(struct conformance *c, const char *format, va_list arguments)
{
    c->skipped = true;
    c->missing = c->stands_on;
    int len = snprintf(c->text, sizeof c->text, "it depends on %s, which does not hold: ", c->missing);
    (void)vsnprintf(c->text + len, sizeof c->text - (size_t)len, format, arguments);
}

bool conformance_check(struct conformance *c, bool holds, const char *format, ...)
{
    va_list arguments;
    c->checks += c->stands_on == NULL;
    if (!holds && !c->failed && c->missing == NULL) {
        va_start(arguments, format);
        if (c->stands_on != NULL) {
            miss(c, format, arguments);
        } else {
            c->failed = true;
            (void)vsnprintf(c->text, sizeof c->text, format, arguments);
        }
        va_end(arguments);
    }
    return holds;
}

const char *conformance_stand_on(struct conformance *c, const char *owner)
{
    const char *before = c->stands_on;
    const bool own = c->judges || (c->now != NULL && strcmp(owner, c->now->id) == 0);
    c->stands_on = own ? NULL : owner;
    return before;
}

void conformance_stand_back(struct conformance *c, const char *before)
{
    c->stands_on = before;
}

void conformance_judge(struct conformance *c)
{
    c->judges = true;
}

void conformance_skip(struct conformance *c, const char *format, ...)
{
    va_list arguments;
    c->skipped = true;
    if (!c->failed && c->missing == NULL) {
        va_start(arguments, format);
        vsnprintf(c->text, sizeof c->text, format, arguments);
        va_end(arguments);
    }
}

void conformance_note(struct conformance *c, const char *format, ...)
{
    va_list arguments;
    size_t len = strlen(c->notes);
    va_start(arguments, format);
    vsnprintf(c->notes + len, sizeof c->notes - len - 1, format, arguments);
    va_end(arguments);
    strcat(c->notes, "\n");
}

void conformance_give_up(struct conformance *c, int exit_code, const char *format, ...)
{
    va_list arguments;
    if (c->gave_up != 0) {
        return;
    }
    c->gave_up = exit_code;
    va_start(arguments, format);
    if (!c->failed) {
        vsnprintf(c->text, sizeof c->text, format, arguments);
    }
    va_end(arguments);
    c->failed = true;
}

/* ---- Which cases ---- */

/* TPM, TPM-S07 and TPM-S07-012 name TPM-S07-012; TPM-S0 does not. */
static bool names(const char *selected, const char *id)
{
    size_t len = strlen(selected);
    return strncmp(id, selected, len) == 0 && (id[len] == 0 || id[len] == '-');
}

static bool is_selected(const struct posix_option_list *selected, const char *id)
{
    for (size_t i = 0; i < selected->count; i++) {
        if (names(selected->values[i], id)) {
            return true;
        }
    }
    return selected->count == 0;
}

static int unknown_name(const char *selected, char *why, size_t why_size)
{
    struct posix_nearest nearest = {.word = selected};
    for (size_t s = 0; s < SUITE_COUNT; s++) {
        const struct conformance_suite *suite = run_suites[s];
        options_nearest(&nearest, suite->name);
        for (size_t g = 0; suite->groups[g] != NULL; g++) {
            for (const struct conformance_case *t = suite->groups[g]; t->id != NULL; t++) {
                if (names(selected, t->id)) {
                    snprintf(why, why_size, "%s is about %s: give --%s as well", selected, suite->title,
                             suite->options.count > 0 ? suite->options.options[0].name : "...");
                    return BYTES_E_USAGE;
                }
                options_nearest(&nearest, t->id);
            }
        }
    }
    snprintf(why, why_size, "there is no case %s%s%s; --list shows all of them", selected,
             nearest.best != NULL ? "; did you mean " : "", nearest.best != NULL ? nearest.best : "");
    return BYTES_E_USAGE;
}

static size_t count_cases(void)
{
    size_t count = 0;
    for (size_t s = 0; s < SUITE_COUNT; s++) {
        for (size_t g = 0; run_suites[s]->groups[g] != NULL; g++) {
            for (const struct conformance_case *t = run_suites[s]->groups[g]; t->id != NULL; t++) {
                count++;
            }
        }
    }
    return count;
}

static void take_suite(struct run *r, const struct conformance_suite *suite,
                       const struct posix_option_list *selected)
{
    for (size_t g = 0; suite->groups[g] != NULL; g++) {
        for (const struct conformance_case *t = suite->groups[g]; t->id != NULL; t++) {
            if (is_selected(selected, t->id)) {
                r->cases[r->case_count].suite = suite;
                r->cases[r->case_count++].test = t;
            }
        }
    }
}

int run_select(struct run *r, const struct posix_option_list *selected, bool all, char *why, size_t why_size)
{
    r->case_count = 0;
    r->cases = calloc(count_cases() + 1, sizeof *r->cases);
    if (r->cases == NULL) {
        snprintf(why, why_size, "out of memory");
        return BYTES_E_SPACE;
    }
    for (size_t s = 0; s < SUITE_COUNT; s++) {
        if (all || run_suites[s]->wanted()) {
            take_suite(r, run_suites[s], selected);
        }
    }
    for (size_t i = 0; i < selected->count; i++) {
        bool found = false;
        for (size_t k = 0; k < r->case_count; k++) {
            found = found || names(selected->values[i], r->cases[k].test->id);
        }
        if (!found) {
            return unknown_name(selected->values[i], why, why_size);
        }
    }
    return 0;
}

/* ---- Running them ---- */

/* A case's bytes follow from seed and id alone, so that it sees the same ones when it is run alone. */
static void seed_case(struct conformance *c)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%s %s", c->seed, c->now->id);
    struct bytes seed = {(const uint8_t *)text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1};
    crypto_drbg_init(&c->drbg, seed);
}

static int drbg_fill(void *context, uint8_t *out, size_t len)
{
    crypto_drbg_generate(context, out, len);
    return 0;
}

static enum run_result judge(const struct run *r, const struct conformance *c)
{
    if (c->failed) {
        return c->now->level == CONFORMANCE_SHOULD && !r->strict ? RUN_UNMET : RUN_FAILED;
    }
    return c->skipped ? RUN_SKIPPED : RUN_PASSED;
}

static void run_between(struct run *r, struct run_case *run_case)
{
    struct conformance *c = &r->conformance;
    if (run_case->suite->before != NULL) {
        run_case->suite->before(c);
    }
    unsigned before = c->checks;
    run_case->test->run(c);
    if (c->checks == before && !c->skipped && !c->failed) {
        conformance_check(c, false, "this case has checked nothing: a fault of the suite itself");
    }
    c->stands_on = NULL;
    c->judges = false;
    if (run_case->suite->after != NULL) {
        run_case->suite->after(c);
    }
}

static void run_one(struct run *r, struct run_case *run_case)
{
    struct conformance *c = &r->conformance;
    struct port_clock clock = posix_clock();
    uint64_t begun = clock.monotonic_ms(clock.context);
    c->now = run_case->test;
    c->failed = c->skipped = c->judges = false;
    c->missing = c->stands_on = NULL;
    c->text[0] = c->notes[0] = 0;
    c->checks = 0;
    seed_case(c);
    c->random = (struct crypto_entropy){.context = &c->drbg, .fill = drbg_fill};
    if ((c->now->needs & CONFORMANCE_DESTRUCTIVE) != 0 && !c->destructive) {
        conformance_skip(c, "it changes what %s keeps: only with --destructive", run_case->suite->title);
    } else if ((c->now->needs & CONFORMANCE_SLOW) != 0 && r->quick) {
        conformance_skip(c, "it takes long, and --quick was given");
    } else {
        run_between(r, run_case);
    }
    run_case->result = judge(r, c);
    run_case->missing = run_case->result == RUN_SKIPPED ? c->missing : NULL;
    run_case->milliseconds = clock.monotonic_ms(clock.context) - begun;
    memcpy(run_case->text, c->text, sizeof run_case->text);
    memcpy(run_case->notes, c->notes, sizeof run_case->notes);
}

/* The cases from `first` on that are of the same suite. *end: the first of another one. Returns 0 or an exit code. */
static int run_suite(struct run *r, size_t first, size_t *end, FILE *out)
{
    const struct conformance_suite *suite = r->cases[first].suite;
    struct conformance *c = &r->conformance;
    size_t i = first;
    c->suite_state = NULL;
    c->gave_up = 0;
    int code = suite->open(c, r->why, sizeof r->why);
    for (; i < r->case_count && r->cases[i].suite == suite; i++) {
        if (code != 0 || posix_interrupted) {
            break;
        }
        run_one(r, &r->cases[i]);
        report_tap_case(out, &r->cases[i], i + 1);
        if (c->gave_up != 0) {
            code = c->gave_up;
            snprintf(r->why, sizeof r->why, "%.500s", c->text);
        }
    }
    suite->close(c);
    *end = i;
    if (code != 0) {
        r->ended = r->why;
    } else if (posix_interrupted) {
        r->ended = "interrupted by a signal";
    }
    return r->ended != NULL && code == 0 ? POSIX_EXIT_REFUSED : code;
}

int run_all(struct run *r, FILE *out)
{
    struct port_clock clock = posix_clock();
    int code = 0;
    r->unix_seconds = clock.unix_seconds(clock.context);
    report_tap_begin(out, r);
    for (size_t at = 0; at < r->case_count && code == 0;) {
        code = run_suite(r, at, &at, out);
    }
    for (size_t i = 0; i < r->case_count; i++) {
        r->counts[r->cases[i].result]++;
        r->missing += r->cases[i].missing != NULL;
    }
    report_tap_end(out, r);
    if (code != 0) {
        return code;
    }
    unsigned checked = r->counts[RUN_PASSED] + r->counts[RUN_FAILED] + r->counts[RUN_UNMET];
    return checked > 0 && r->counts[RUN_FAILED] == 0 && r->missing == 0 ? POSIX_EXIT_OK : POSIX_EXIT_REFUSED;
}
