/* SPDX-License-Identifier: MIT */
/* dps-admin: the management API on a command line. This file describes its commands and options; what a
 * command does stands in admin_*.c. */
#include "port/posix/admin/tool.h"
#include <string.h>

/* Everything that this program remembers, in one place, so that one wipe at the end forgets it. */
static struct admin_tool tool = {.https = {.open = false}};
static struct admin_options *const o = &tool.options;

static const struct posix_option options_all[] = {
    {.name = "format", .argument = "FORMAT", .text = &tool.options.format, .help = "text (default) or json"},
    {.name = "help", .flag = &tool.options.help, .help = "this, or the help of a command"},
    {.name = "version", .flag = &tool.options.version, .help = "which version this is"},
};
static const struct posix_option options_connection[] = {
    {.name = "connection-string-file",
     .argument = "FILE",
     .text = &tool.options.connection_string_file,
     .help = "HostName=HOST[:PORT];SharedAccessKeyName=NAME;SharedAccessKey=KEY\n"
             "(mode 0600); default: the environment variable DPS_CONNECTION_STRING"},
    {.name = "ca",
     .argument = "FILE",
     .text = &tool.options.ca,
     .help = "trusted issuers of the service's certificate: PEM or DER"},
    {.name = "connect-to",
     .argument = "HOST:PORT",
     .text = &tool.options.connect_to,
     .help = "connect there, whatever the name; the certificate is still checked for\nthe name"},
    POSIX_OPTIONS_PROXY(&tool.options.proxy, &tool.options.proxy_auth_file),
};

#define OPTION_IF_MATCH                                                                                      \
    {                                                                                                        \
        .name = "if-match", .argument = "ETAG", .text = &tool.options.if_match,                              \
        .help = "only if it is still the one with this etag"                                                 \
    }

static const struct posix_option options_enroll[] = {
    {.name = "ek",
     .argument = "FILE",
     .text = &tool.options.ek,
     .help = "the public endorsement key, or - for standard input: what dps-device ek or\n"
             "tpm2_createek -u wrote, PEM, DER, an EK certificate, what openssl, tpm2_readpublic\n"
             "or Windows print; any of them as base64, hex, a hexdump or in JSON"},
    {.name = "device-id",
     .argument = "D",
     .text = &tool.options.device_id,
     .help = "the device's name at the hub; default: the registration ID"},
    {.name = "hub",
     .argument = "H",
     .list = &tool.options.hubs,
     .help = "to this hub only, or to one of several: may be given repeatedly; default: all"},
    {.name = "srk",
     .argument = "hardened",
     .text = &tool.options.srk,
     .help = "take only the hardened SRK (dps-device register --srk hardened), from which\nTPM2_Rewrap gets "
             "nothing; needs --ek. Azure's own service has no such demand:\nthere it is left out"},
    {.name = "disabled", .flag = &tool.options.disabled, .help = "known, but not allowed to register"},
    {.name = "update", .flag = &tool.options.update, .help = "replace the enrollment that exists"},
    {.name = "if-match",
     .argument = "ETAG",
     .text = &tool.options.if_match,
     .help = "the same, but only if it is still the one with this etag"},
    {.name = "json",
     .argument = "FILE",
     .text = &tool.options.json,
     .help =
         "an enrollment as the API speaks it, for what there is no option for; the\noptions and the ID win"},
};
static const struct posix_option options_list[] = {
    {.name = "page",
     .argument = "N",
     .number = &tool.options.page,
     .maximum = 100,
     .help = "ask for at most N at a time; all are listed in any case"},
};
static const struct posix_option options_import[] = {
    {.name = "mode",
     .argument = "MODE",
     .text = &tool.options.mode,
     .help = "create (default): what exists and is the same is passed over, what\ndiffers refused; update: "
             "replace what exists"},
    {.name = "resume",
     .argument = "FILE",
     .text = &tool.options.resume,
     .help = "keep in FILE how far it is, and go on from there if it was stopped"},
    {.name = "report",
     .argument = "FILE",
     .text = &tool.options.report,
     .help = "write refused lines to FILE as CSV: line,registrationId,errorCode,message;\nerrorCode 0: it "
             "was not even sent"},
};
static const struct posix_option options_if_match[] = {OPTION_IF_MATCH};
static const struct posix_option options_string[] = {
    {.name = "policy-file",
     .argument = "FILE",
     .text = &tool.options.policy_file,
     .help = "the policies that dps-service reads"},
    {.name = "host",
     .argument = "NAME[:PORT]",
     .text = &tool.options.host,
     .help = "under which name it is reached"},
    {.name = "policy", .argument = "NAME", .text = &tool.options.policy, .help = "default: the first one"},
};

struct command {
    const char *name;
    const char *arguments; /* for --help */
    size_t argument_count;
    const char *summary;
    const char *example;
    int (*run)(struct admin_tool *t);
    bool connects;
    const struct posix_option *options;
    size_t option_count;
};
#define OPTIONS(array) (array), sizeof(array) / sizeof(array)[0]
#define CONNECT "dps-admin --connection-string-file dps.conn --ca ca.pem "

static const struct command commands[] = {
    {"enroll", " ID", 1, "Step 2: let the device with this endorsement key register as ID",
     CONNECT "enroll dev1 --ek ek.pub --hub hub-a.example", admin_enroll, true, OPTIONS(options_enroll)},
    {"import", " FILE", 1,
     "Enroll all that FILE lists: CSV, or JSON enrollments, one a line or in an array\n\n"
     "The first line of CSV names its columns: registrationId, endorsementKey and perhaps deviceId, iotHub,\n"
     "provisioningStatus; others are not used. Separators may be commas, semicolons, tabs or bars, the "
     "encoding\n"
     "UTF-8 or UTF-16; keys in any form that enroll takes. JSON is as list --format json, or `az iot dps\n"
     "enrollment list`, prints it. FILE may be -, standard input",
     CONNECT "import devices.csv \\\n      --resume devices.state --report refused.csv", admin_import, true,
     OPTIONS(options_import)},
    {"get", " ID", 1, "Show one enrollment, and whether its device has registered", CONNECT "get dev1",
     admin_get, true, NULL, 0},
    {"list", "", 0, "Show all enrollments, one a line (json: one object a line)",
     CONNECT "list --format json > enrollments.jsonl", admin_list, true, OPTIONS(options_list)},
    {"delete", " ID", 1, "Delete an enrollment: the device cannot register again, and stays at its hub",
     CONNECT "delete dev1", admin_delete, true, OPTIONS(options_if_match)},
    {"disable", " ID", 1, "Disable an enrollment: the device cannot register again until it is enabled",
     CONNECT "disable dev1", admin_disable, true, NULL, 0},
    {"enable", " ID", 1, "Enable an enrollment that was disabled", CONNECT "enable dev1", admin_enable, true,
     NULL, 0},
    {"status", "", 0, "Does the service answer, is the clock right, and how many enrollments are there?",
     CONNECT "status", admin_status, true, NULL, 0},
    {"registration", " get|delete ID", 2,
     "Show or delete what the service remembers of a device that has registered",
     CONNECT "registration get dev1", admin_registration, true, OPTIONS(options_if_match)},
    {"connection-string", "", 0, "Print the connection string of a policy of dps-service; it is a secret",
     "(umask 077; dps-admin connection-string --policy-file policies.json \\\n"
     "      --host dps.example > dps.conn)",
     admin_connection_string, false, OPTIONS(options_string)},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct posix_option_group group_all = {"Options of every command:", OPTIONS(options_all)};
static const struct posix_option_group group_connection = {"Where the service is:",
                                                           OPTIONS(options_connection)};

static void program_help(FILE *out)
{
    const struct posix_option_group groups[] = {group_connection, group_all};
    fputs("Usage: dps-admin --connection-string-file FILE --ca FILE COMMAND [options]\n\n"
          "Manages the enrollments of a provisioning service. Commands, each with its own --help:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-18s%.*s\n", commands[i].name, (int)strcspn(commands[i].summary, "\n"),
                commands[i].summary);
    }
    options_help(out, groups, 2);
    fputs("\nExample: " CONNECT "list\n\n"
          "Exit codes: 0 ok, 1 refused by the service, 2 usage, 4 network or TLS, 5 file,\n"
          "128 + N stopped by signal N.\n",
          out);
}

static void command_help(FILE *out, const struct command *c)
{
    const struct posix_option_group groups[] = {
        {"Options:", c->options, c->option_count}, group_all, group_connection};
    fprintf(out, "Usage: dps-admin %s%s%s%s\n\n%s.\n\nExample:\n  %s\n",
            c->connects ? "--connection-string-file FILE --ca FILE " : "", c->name, c->arguments,
            c->option_count > 0 ? " [options]" : "", c->summary, c->example);
    options_help(out, groups, c->connects ? 3 : 2);
}

static const struct command *find_command(const char *name)
{
    struct posix_nearest nearest = {.word = name};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
        options_nearest(&nearest, commands[i].name);
    }
    if (nearest.best != NULL) {
        admin_say("there is no command \"%s\"; did you mean %s?", name, nearest.best);
    } else {
        admin_say("there is no command \"%s\"; dps-admin --help lists them", name);
    }
    return NULL;
}

/* What stands after the command: options and arguments in any order. */
static int parse_behind(const struct command *c, int argc, char *const *argv, int at)
{
    const struct posix_option_group behind[] = {
        {"", c->options, c->option_count}, group_all, {"", OPTIONS(options_connection)}};
    char why[512];
    for (size_t count = 0;; count++) {
        if (options_parse(behind, 3, argc, argv, &at, why, sizeof why) != 0) {
            admin_say("%s: %s", c->name, why);
            return POSIX_EXIT_USAGE;
        }
        if (at == argc) {
            if (count == c->argument_count || o->help || o->version) {
                return 0;
            }
            admin_say("%s: it needs%s; dps-admin %s --help explains it", c->name, c->arguments, c->name);
            return POSIX_EXIT_USAGE;
        }
        if (count == c->argument_count) {
            admin_say("%s: what is \"%s\"? --help lists what may stand here", c->name, argv[at]);
            return POSIX_EXIT_USAGE;
        }
        o->arguments[count] = argv[at++];
    }
}

/* A line end in a header would be the beginning of another one. */
static int check_values(void)
{
    if (o->format != NULL && strcmp(o->format, "json") != 0 && strcmp(o->format, "text") != 0) {
        admin_say("--format is text or json, not \"%s\"", o->format);
        return POSIX_EXIT_USAGE;
    }
    for (const char *c = o->if_match; c != NULL && *c != 0; c++) {
        if (*c < 0x20 || *c == 0x7F) {
            admin_say("--if-match takes an etag as get shows it");
            return POSIX_EXIT_USAGE;
        }
    }
    return 0;
}

static int parse(int argc, char *const *argv, const struct command **command)
{
    char why[512];
    int at = 1;
    *command = NULL;
    const struct posix_option_group before[] = {group_all, group_connection};
    if (options_parse(before, 2, argc, argv, &at, why, sizeof why) != 0) {
        admin_say("%s", why);
        return POSIX_EXIT_USAGE;
    }
    if (at == argc) {
        if (!o->help && !o->version) {
            admin_say("no command given; dps-admin --help lists them");
        }
        return o->help || o->version ? 0 : POSIX_EXIT_USAGE;
    }
    *command = find_command(argv[at]);
    if (*command == NULL) {
        return POSIX_EXIT_USAGE;
    }
    int exit_code = parse_behind(*command, argc, argv, at + 1);
    return exit_code != 0 ? exit_code : check_values();
}

int main(int argc, char **argv)
{
    const struct command *command;
    posix_keep_memory_private();
    int exit_code = parse(argc, argv, &command);
    if (exit_code == 0 && o->version) {
        options_version("dps-admin");
    } else if (exit_code == 0 && command == NULL) {
        program_help(stdout);
    } else if (exit_code == 0 && o->help) {
        command_help(stdout, command);
    } else if (exit_code == 0) {
        posix_catch_signals();
        exit_code = command->run(&tool);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == 0) {
        admin_say("the result could not be written to standard output");
        exit_code = POSIX_EXIT_STORE;
    }
    admin_close(&tool);
    return exit_code;
}
