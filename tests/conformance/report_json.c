/* SPDX-License-Identifier: MIT */
/* --json FILE: one object; results are "passed", "failed", "not met", "skipped", "not run". */
#include "tests/conformance/run.h"
#include <inttypes.h>
#include <string.h>

static void member(FILE *out, const char *name, const char *text)
{
    fprintf(out, ",\n     \"%s\": ", name);
    report_json_text(out, text, strlen(text));
}

static void write_notes(FILE *out, const char *notes)
{
    fputs(",\n     \"notes\": [", out);
    for (const char *line = notes; *line != 0;) {
        size_t len = strcspn(line, "\n");
        fputs(line != notes ? ", " : "", out);
        report_json_text(out, line, len);
        line += len + (line[len] == '\n');
    }
    fputs("]", out);
}

static void write_case(FILE *out, const struct run_case *c)
{
    fprintf(out, "    {\"id\": \"%s\"", c->test->id);
    member(out, "requirement", c->test->requirement);
    member(out, "source", c->test->source);
    member(out, "level", report_level_name(c->test));
    member(out, "result", report_result_name(c->result));
    if (c->text[0] != 0) {
        member(out, "message", c->text);
    }
    if (c->missing != NULL) {
        member(out, "stands_on", c->missing);
    }
    write_notes(out, c->notes);
    fprintf(out, ",\n     \"milliseconds\": %" PRIu64 "}", c->milliseconds);
}

void report_json(FILE *out, const struct run *r)
{
    fprintf(out, "{\"tool\": \"dps-conformance\",\n \"began\": %" PRIu64 ",\n \"seed\": ", r->unix_seconds);
    report_json_text(out, r->conformance.seed, strlen(r->conformance.seed));
    fprintf(out, ",\n \"strict\": %s,\n \"ended_early\": ", r->strict ? "true" : "false");
    if (r->ended != NULL) {
        report_json_text(out, r->ended, strlen(r->ended));
    } else {
        fputs("null", out);
    }
    fputs(",\n \"counts\": {", out);
    for (int i = 0; i < RUN_RESULT_COUNT; i++) {
        fprintf(out, "%s\"%s\": %u", i > 0 ? ", " : "", report_result_name((enum run_result)i), r->counts[i]);
    }
    fputs("},\n \"cases\": [", out);
    for (size_t i = 0; i < r->case_count; i++) {
        fputs(i > 0 ? ",\n" : "\n", out);
        write_case(out, &r->cases[i]);
    }
    fputs("\n ]}\n", out);
}
