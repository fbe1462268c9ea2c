/* SPDX-License-Identifier: MIT */
/* --list: what is checked, from the same data that runs. */
#include "tests/conformance/run.h"
#include <string.h>

static const char *needs_of(const struct conformance_case *t)
{
    static const char *const texts[] = {"", "--destructive", "slow", "--destructive, slow"};
    return texts[t->needs & (CONFORMANCE_DESTRUCTIVE | CONFORMANCE_SLOW)];
}

static void list_text(FILE *out, const struct run_case *c)
{
    const char *needs = needs_of(c->test);
    fprintf(out, "%s  %-6s  %s\n             %*s  %s%s%s%s\n", c->test->id, report_level_name(c->test),
            c->test->requirement, 4, "", c->test->source, needs[0] != 0 ? " (" : "", needs,
            needs[0] != 0 ? ")" : "");
}

static void json_member(FILE *out, const char *name, const char *text)
{
    fprintf(out, ", \"%s\": ", name);
    report_json_text(out, text, strlen(text));
}

static void list_json(FILE *out, const struct run *r)
{
    fputs("[", out);
    for (size_t i = 0; i < r->case_count; i++) {
        const struct conformance_case *t = r->cases[i].test;
        fprintf(out, "%s{\"id\": \"%s\"", i > 0 ? ",\n " : "\n ", t->id);
        json_member(out, "level", report_level_name(t));
        json_member(out, "requirement", t->requirement);
        json_member(out, "source", t->source);
        fprintf(out, ", \"destructive\": %s, \"slow\": %s}",
                (t->needs & CONFORMANCE_DESTRUCTIVE) != 0 ? "true" : "false",
                (t->needs & CONFORMANCE_SLOW) != 0 ? "true" : "false");
    }
    fputs("\n]\n", out);
}

/* '|' would end a cell. */
static void markdown_cell(FILE *out, const char *text)
{
    for (; *text != 0; text++) {
        fprintf(out, "%s%c", *text == '|' || *text == '<' ? "\\" : "", *text);
    }
    fputs(" |", out);
}

static void list_markdown(FILE *out, const struct run *r)
{
    fputs("| id | level | requirement | source |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < r->case_count; i++) {
        const struct conformance_case *t = r->cases[i].test;
        fprintf(out, "| %s | %s | ", t->id, report_level_name(t));
        markdown_cell(out, t->requirement);
        fputc(' ', out);
        markdown_cell(out, t->source);
        fputc('\n', out);
    }
}

int list_cases(FILE *out, const struct run *r, const char *form)
{
    if (strcmp(form, "json") == 0) {
        list_json(out, r);
    } else if (strcmp(form, "markdown") == 0) {
        list_markdown(out, r);
    } else if (form[0] == 0 || strcmp(form, "text") == 0) {
        for (size_t i = 0; i < r->case_count; i++) {
            list_text(out, &r->cases[i]);
        }
    } else {
        return BYTES_E_USAGE;
    }
    return 0;
}
