/* SPDX-License-Identifier: MIT */
/* dps-conformance: is this TPM, this service, this device client correct? One program, three subjects, every
 * requirement a case with an id. This file reads the command line and writes the reports; run.c runs the cases. */
#include "tests/conformance/run.h"
#include "tests/conformance/serve_tpm.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct {
    bool strict, destructive, quick, help, version;
    const char *list, *seed, *junit, *json, *serve_tpm;
} o;

static const struct posix_option options[] = {
    {.name = "list",
     .argument = "text|json|markdown",
     .text = &o.list,
     .value_optional = true,
     .help = "show the cases (all, or those named) and run nothing"},
    {.name = "strict", .flag = &o.strict, .help = "a SHOULD that does not hold fails the run as well"},
    {.name = "destructive",
     .flag = &o.destructive,
     .help = "also run what changes the subject for good: TPM2_Clear"},
    {.name = "quick", .flag = &o.quick, .help = "leave out what takes longer than ten seconds on hardware"},
    {.name = "seed",
     .argument = "TEXT",
     .text = &o.seed,
     .help = "all random bytes follow from TEXT and a case's id; default: a random one, which\n"
             "is printed"},
    {.name = "junit", .argument = "FILE", .text = &o.junit, .help = "also write a JUnit XML report there"},
    {.name = "json", .argument = "FILE", .text = &o.json, .help = "also write a JSON report there"},
    {.name = "serve-tpm",
     .argument = "ADDR:PORT",
     .text = &o.serve_tpm,
     .help = "no cases: serve the TPM that --tpm names (also hostile:SEED/TPM and\n"
             "interpose:FILE/TPM) to any client, in swtpm's and the simulator's protocol, the\n"
             "control or platform port at PORT + 1, until a signal; PORT 0: any free pair"},
    {.name = "help", .flag = &o.help, .help = "this"},
    {.name = "version", .flag = &o.version, .help = "print the version"},
};

#define SUITE_COUNT (sizeof run_suites / sizeof run_suites[0])
static struct posix_option_group groups[1 + SUITE_COUNT] = {
    {"Options", options, sizeof options / sizeof options[0]},
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    options_say("dps-conformance", format, arguments);
    va_end(arguments);
}

static void help(void)
{
    puts("Usage: dps-conformance [OPTION]... [ID]...\n\n"
         "Checks a TPM, a service or a device client against the requirements of TPM 2.0 attestation\n"
         "for device provisioning. Each requirement is a case with an id such as TPM-S07-012 (suite,\n"
         "step of the flow, number); an ID chooses one case, the beginning of an ID (TPM-S07, TPM) "
         "several.\n\n"
         "Examples\n"
         "  dps-conformance --tpm /dev/tpmrm0\n"
         "  dps-conformance --tpm libtpms:tpm-state --destructive TPM-S07\n"
         "  dps-conformance --tpm hostile:42,log/libtpms:tpm-state --serve-tpm 127.0.0.1:2321\n"
         "  dps-conformance --list");
    options_help(stdout, groups, sizeof groups / sizeof groups[0]);
    puts("\nStandard output is TAP. Exit code: 0 if at least one case ran and none failed; 1 if one failed\n"
         "or could not be tested, because a precondition does not hold, or if none ran, or a signal came;\n"
         "2 usage; 3 the TPM cannot be used; 4 network; 5 a report cannot be written.");
}

static int usage(const char *why)
{
    say("%s", why);
    return POSIX_EXIT_USAGE;
}

/* Options and ids in any order. */
static int parse(int argc, char **argv, struct posix_option_list *ids, char *why, size_t why_size)
{
    for (size_t s = 0; s < SUITE_COUNT; s++) {
        groups[1 + s] = run_suites[s]->options;
    }
    for (int at = 1; at < argc;) {
        int error = options_parse(groups, sizeof groups / sizeof groups[0], argc, argv, &at, why, why_size);
        if (error != 0) {
            return error;
        }
        if (at < argc && ids->count == POSIX_OPTION_LIST_MAX) {
            snprintf(why, why_size, "at most %d ids can be named", POSIX_OPTION_LIST_MAX);
            return BYTES_E_USAGE;
        }
        if (at < argc) {
            ids->values[ids->count++] = argv[at++];
        }
    }
    return 0;
}

static const char *random_seed(void)
{
    static char text[17];
    uint8_t bytes[8];
    struct crypto_entropy entropy = posix_entropy();
    if (entropy.fill(entropy.context, bytes, sizeof bytes) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return text;
}

static bool any_wanted(void)
{
    for (size_t s = 0; s < SUITE_COUNT; s++) {
        if (run_suites[s]->wanted()) {
            return true;
        }
    }
    return false;
}

static int write_report(const struct run *r, const char *path, void (*report)(FILE *out, const struct run *r))
{
    if (path == NULL) {
        return 0;
    }
    FILE *out = fopen(path, "w");
    bool written = out != NULL;
    if (out != NULL) {
        report(out, r);
        written = !ferror(out);
        written = fclose(out) == 0 && written;
    }
    if (!written) {
        say("%s: %s", path, strerror(errno));
    }
    return written ? 0 : POSIX_EXIT_STORE;
}

static int run_and_report(struct run *r)
{
    posix_catch_signals();
    int code = run_all(r, stdout);
    report_summary(stderr, r);
    int junit = write_report(r, o.junit, report_junit);
    int json = write_report(r, o.json, report_json);
    if (code == 0) {
        code = junit != 0 ? junit : json;
    }
    return code;
}

/* What was given for the option of one of the suites. */
static const char *given(const char *option)
{
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            if (strcmp(groups[g].options[i].name, option) == 0) {
                return *groups[g].options[i].text;
            }
        }
    }
    return NULL;
}

static int serve_tpm(void)
{
    const char *tpm = given("tpm");
    return tpm != NULL ? conformance_serve_tpm(o.serve_tpm, tpm) : usage("--serve-tpm needs --tpm TPM");
}

static int choose_and_run(struct run *r, const struct posix_option_list *ids)
{
    char why[1024];
    if (o.list == NULL && !any_wanted()) {
        return usage(
            "say what to check: --tpm TPM, --service URL or --device-listen ADDR:PORT; --help tells more");
    }
    if (run_select(r, ids, o.list != NULL, why, sizeof why) != 0) {
        return usage(why);
    }
    if (o.list != NULL) {
        return list_cases(stdout, r, o.list) == 0 ? 0 : usage("--list is text, json or markdown");
    }
    r->conformance.seed = o.seed != NULL ? o.seed : random_seed();
    if (r->conformance.seed == NULL) {
        say("no random numbers can be had from the system");
        return POSIX_EXIT_REFUSED;
    }
    r->conformance.destructive = o.destructive;
    r->strict = o.strict;
    r->quick = o.quick;
    return run_and_report(r);
}

int main(int argc, char **argv)
{
    static struct run run;
    struct posix_option_list ids = {0};
    char why[1024];
    int code = 0;
    posix_keep_memory_private();
    if (parse(argc, argv, &ids, why, sizeof why) != 0) {
        code = usage(why);
    } else if (o.version) {
        options_version("dps-conformance");
    } else if (o.help) {
        help();
    } else if (o.serve_tpm != NULL) {
        code = serve_tpm();
    } else {
        code = choose_and_run(&run, &ids);
    }
    free(run.cases);
    return options_printed("dps-conformance", code);
}
