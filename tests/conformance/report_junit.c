/* SPDX-License-Identifier: MIT */
/* --junit FILE: a testsuite for each of our suites, a testcase for each case. What did not run is an error, and a
 * SHOULD that is not met is named as skipped, since JUnit knows nothing between passed and failed. */
#include "crypto/bytes/bytes.h"
#include "dps/protocol/text.h"
#include "tests/conformance/run.h"
#include <inttypes.h>
#include <string.h>

/* XML 1.0 has no control characters but three, and no bytes that are not UTF-8. */
static void xml_text(FILE *out, const char *text, size_t len)
{
    bool utf8 = dps_utf8_valid(bytes_of(text, len));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '&') {
            fputs("&amp;", out);
        } else if (c == '<') {
            fputs("&lt;", out);
        } else if (c == '>') {
            fputs("&gt;", out);
        } else if (c == '"') {
            fputs("&quot;", out);
        } else if (c == '\n' || c == '\t') {
            fprintf(out, "&#%u;", c);
        } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8)) {
            fputc('?', out);
        } else {
            fputc(c, out);
        }
    }
}

static void attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    xml_text(out, value, strlen(value));
    fputs("\"", out);
}

static void write_seconds(FILE *out, uint64_t milliseconds)
{
    fprintf(out, " time=\"%" PRIu64 ".%03" PRIu64 "\"", milliseconds / 1000, milliseconds % 1000);
}

static void write_case(FILE *out, const struct run *r, const struct run_case *c)
{
    fputs("    <testcase", out);
    attribute(out, "classname", c->suite->name);
    char name[512];
    snprintf(name, sizeof name, "%s: %s", c->test->id, c->test->requirement);
    attribute(out, "name", name);
    write_seconds(out, c->milliseconds);
    fputs(">\n", out);
    if (c->result == RUN_FAILED || c->result == RUN_SKIPPED || c->result == RUN_UNMET) {
        fprintf(out, "      <%s", c->result == RUN_FAILED ? "failure" : "skipped");
        char message[sizeof c->text + 32];
        snprintf(message, sizeof message, "%s%s", c->result == RUN_UNMET ? "SHOULD is not met: " : "",
                 c->text);
        attribute(out, "message", message);
        fputs("/>\n", out);
    } else if (c->result == RUN_NOT_RUN) {
        fputs("      <error", out);
        attribute(out, "message", r->ended != NULL ? r->ended : "not run");
        fputs("/>\n", out);
    }
    fputs("      <system-out>source: ", out);
    xml_text(out, c->test->source, strlen(c->test->source));
    fputs("&#10;", out);
    xml_text(out, c->notes, strlen(c->notes));
    fputs("</system-out>\n    </testcase>\n", out);
}

static unsigned count(const struct run *r, const struct conformance_suite *suite, enum run_result result)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->case_count; i++) {
        n += r->cases[i].suite == suite && r->cases[i].result == result;
    }
    return n;
}

static void write_suite(FILE *out, const struct run *r, const struct conformance_suite *suite)
{
    unsigned tests = 0;
    uint64_t milliseconds = 0;
    for (int i = 0; i < RUN_RESULT_COUNT; i++) {
        tests += count(r, suite, (enum run_result)i);
    }
    for (size_t i = 0; i < r->case_count; i++) {
        milliseconds += r->cases[i].suite == suite ? r->cases[i].milliseconds : 0;
    }
    if (tests == 0) {
        return;
    }
    fputs("  <testsuite", out);
    attribute(out, "name", suite->name);
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\"", tests,
            count(r, suite, RUN_FAILED), count(r, suite, RUN_NOT_RUN),
            count(r, suite, RUN_SKIPPED) + count(r, suite, RUN_UNMET));
    write_seconds(out, milliseconds);
    fputs(">\n    <properties><property name=\"seed\"", out);
    attribute(out, "value", r->conformance.seed);
    fputs("/></properties>\n", out);
    for (size_t i = 0; i < r->case_count; i++) {
        if (r->cases[i].suite == suite) {
            write_case(out, r, &r->cases[i]);
        }
    }
    fputs("  </testsuite>\n", out);
}

void report_junit(FILE *out, const struct run *r)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"dps-conformance\">\n", out);
    for (size_t s = 0; s < sizeof run_suites / sizeof run_suites[0]; s++) {
        write_suite(out, r, run_suites[s]);
    }
    fputs("</testsuites>\n", out);
}
