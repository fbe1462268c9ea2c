/* SPDX-License-Identifier: MIT */
/* TAP and the summary; what the machine-readable reports share. */
#include "crypto/bytes/bytes.h"
#include "dps/protocol/text.h"
#include "tests/conformance/run.h"
#include <string.h>

const char *report_result_name(enum run_result result)
{
    static const char *const names[RUN_RESULT_COUNT] = {
        [RUN_NOT_RUN] = "not run", [RUN_PASSED] = "passed",   [RUN_FAILED] = "failed",
        [RUN_UNMET] = "not met",   [RUN_SKIPPED] = "skipped",
    };
    return names[result];
}

const char *report_level_name(const struct conformance_case *test)
{
    return test->level == CONFORMANCE_MUST ? "MUST" : "SHOULD";
}

void report_json_text(FILE *out, const char *text, size_t len)
{
    bool utf8 = dps_utf8_valid(bytes_of(text, len));
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7F) {
            fprintf(out, "\\u%04x", c);
        } else if (c >= 0x80 && !utf8) {
            fputs("\\ufffd", out);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

/* ---- TAP 13, which every consumer knows: YAML blocks, with strings in JSON's form, which is YAML too ---- */

void report_tap_begin(FILE *out, const struct run *r)
{
    fprintf(out, "TAP version 13\n1..%zu\n# seed: %s\n", r->case_count, r->conformance.seed);
    fflush(out);
}

/* '#' would begin a directive. */
static void tap_text(FILE *out, const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '#') {
            fputc('\\', out);
        }
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void tap_block(FILE *out, const struct run_case *c)
{
    fputs("  ---\n  message: ", out);
    report_json_text(out, c->text, strlen(c->text));
    fprintf(out, "\n  level: %s\n  source: ", report_level_name(c->test));
    report_json_text(out, c->test->source, strlen(c->test->source));
    fputs("\n  ...\n", out);
}

void report_tap_case(FILE *out, const struct run_case *c, size_t number)
{
    bool failed = c->result == RUN_FAILED || c->result == RUN_UNMET;
    fprintf(out, "%sok %zu - %s: ", failed ? "not " : "", number, c->test->id);
    tap_text(out, c->test->requirement);
    if (c->result == RUN_SKIPPED) {
        fputs(" # SKIP ", out);
        tap_text(out, c->text);
    } else if (c->result == RUN_UNMET) {
        /* The directive with which consumers show a failure and do not count it. */
        fputs(" # TO"
              "DO SHOULD is not met: ",
              out);
        tap_text(out, c->text);
    }
    fputc('\n', out);
    if (failed) {
        tap_block(out, c);
    }
    for (const char *line = c->notes; *line != 0;) {
        size_t len = strcspn(line, "\n");
        fprintf(out, "# %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    fflush(out);
}

void report_tap_end(FILE *out, const struct run *r)
{
    if (r->ended != NULL) {
        fprintf(out, "Bail out! %s\n", r->ended);
    }
    fflush(out);
}

/* ---- For people ---- */

/* Cases that could not be judged, one line for each case that they depend on, with the first one's reason. */
static void summarize_missing(FILE *out, const struct run *r)
{
    for (size_t i = 0; i < r->case_count; i++) {
        const char *missing = r->cases[i].missing;
        unsigned before = 0, count = 0;
        for (size_t k = 0; k < r->case_count && missing != NULL; k++) {
            bool same = r->cases[k].missing != NULL && strcmp(r->cases[k].missing, missing) == 0;
            before += same && k < i;
            count += same;
        }
        if (missing != NULL && before == 0) {
            fprintf(out, "%u skipped because of %s (%s: %s)\n", count, missing, r->cases[i].test->id,
                    r->cases[i].text);
        }
    }
}

void report_summary(FILE *out, const struct run *r)
{
    for (size_t i = 0; i < r->case_count; i++) {
        const struct run_case *c = &r->cases[i];
        if (c->result == RUN_FAILED || c->result == RUN_UNMET) {
            fprintf(out, "%s %s: %s\n", c->test->id, report_result_name(c->result), c->text);
        }
    }
    summarize_missing(out, r);
    if (r->ended != NULL) {
        fprintf(out, "dps-conformance: %s\n", r->ended);
    }
    fprintf(out,
            "dps-conformance: %u passed, %u failed, %u SHOULD not met, %u skipped, %u not run (--seed %s)\n",
            r->counts[RUN_PASSED], r->counts[RUN_FAILED], r->counts[RUN_UNMET], r->counts[RUN_SKIPPED],
            r->counts[RUN_NOT_RUN], r->conformance.seed);
    if (r->counts[RUN_PASSED] + r->counts[RUN_FAILED] + r->counts[RUN_UNMET] == 0) {
        fprintf(out, "dps-conformance: no case has run, which proves nothing\n");
    }
}
