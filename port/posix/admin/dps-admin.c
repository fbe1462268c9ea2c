/* SPDX-License-Identifier: MIT */
/* dps-admin: the management API on a command line. This file describes its commands and options; what a
 * command does is in the other files of this directory. */
#include "port/posix/admin/tool.h"
#include "port/posix/program.h"
#include <string.h>

/* Everything that this program remembers, in one place, so that one wipe at the end forgets it. */
static struct admin_tool tool = {.https = {.open = false}};

static const struct posix_option options_all[] = {
    {.name = "format", .argument = "FORMAT", .text = &tool.options.format, .help = "text (default) or json"},
    POSIX_OPTIONS_PROGRAM(&tool.options.help, &tool.options.version),
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
             "nothing; needs --ek. Azure's own service does not know this:\nthere it is left out"},
    {.name = "disabled",
     .flag = &tool.options.disabled,
     .help = "enroll it, but do not allow it to register yet"},
    {.name = "update", .flag = &tool.options.update, .help = "replace the enrollment that exists"},
    {.name = "if-match",
     .argument = "ETAG",
     .text = &tool.options.if_match,
     .help = "likewise, but only if it is still the one with this etag"},
    {.name = "json",
     .argument = "FILE",
     .text = &tool.options.json,
     .help = "an enrollment in the API's JSON, for members that have no option; options\nand the ID take "
             "precedence"},
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
     .help = "create (default): skip what exists and is the same, refuse what\ndiffers; update: "
             "replace what exists"},
    {.name = "resume",
     .argument = "FILE",
     .text = &tool.options.resume,
     .help = "record the progress in FILE, and continue from there if it was stopped"},
    {.name = "report",
     .argument = "FILE",
     .text = &tool.options.report,
     .help = "write refused lines to FILE as CSV: line,registrationId,errorCode,message;\nerrorCode 0: it "
             "was not even sent"},
};
static const struct posix_option options_message[] = {
    {.name = "property",
     .argument = "NAME=VALUE",
     .list = &tool.options.properties,
     .help = "a property of the message: may be given repeatedly"},
    {.name = "message-id",
     .argument = "ID",
     .text = &tool.options.message_id,
     .help = "default: the service makes one"},
    {.name = "content-type",
     .argument = "TYPE",
     .text = &tool.options.content_type,
     .help = "such as application/json"},
    {.name = "ttl",
     .argument = "SECONDS",
     .number = &tool.options.lifetime,
     .maximum = 172800,
     .help = "how long it waits for the device (default 3600)"},
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
     .help = "the name under which the service is reached"},
    {.name = "policy", .argument = "NAME", .text = &tool.options.policy, .help = "default: the first policy"},
};

struct command {
    int (*run)(struct admin_tool *t);
    struct posix_command of_program;
};
#define OPTIONS(array) .options = (array), .count = sizeof(array) / sizeof(array)[0]
#define ARGUMENTS(text, number) .arguments = (text), .arguments_min = (number), .arguments_max = (number)
#define CONNECT "dps-admin --connection-string-file dps.conn --ca ca.pem "

static const char import_summary[] =
    "Enroll all devices that FILE lists: CSV, or JSON enrollments, one per line or in an array\n\n"
    "The first line of CSV names its columns: registrationId, endorsementKey and perhaps deviceId, iotHub,\n"
    "provisioningStatus; others are ignored. Separators may be commas, semicolons, tabs or bars, the "
    "encoding\n"
    "UTF-8 or UTF-16; keys in any form that enroll takes. JSON is as list --format json, or `az iot dps\n"
    "enrollment list`, prints it. FILE may be -, standard input";

static const struct command commands[] = {
    {.run = admin_enroll,
     .of_program = {.name = "enroll",
                    .summary = "Step 2: let the device with this endorsement key register as ID",
                    .example = CONNECT "enroll dev1 --ek ek.pub --hub hub-a.example",
                    OPTIONS(options_enroll),
                    ARGUMENTS("ID", 1)}},
    {.run = admin_import,
     .of_program = {.name = "import",
                    .summary = import_summary,
                    .example =
                        CONNECT "import devices.csv \\\n      --resume devices.state --report refused.csv",
                    OPTIONS(options_import),
                    ARGUMENTS("FILE", 1)}},
    {.run = admin_get,
     .of_program = {.name = "get",
                    .summary = "Show one enrollment, and whether its device has registered",
                    .example = CONNECT "get dev1",
                    ARGUMENTS("ID", 1)}},
    {.run = admin_list,
     .of_program = {.name = "list",
                    .summary = "Show all enrollments, one per line (json: one object per line)",
                    .example = CONNECT "list --format json > enrollments.jsonl",
                    OPTIONS(options_list)}},
    {.run = admin_delete,
     .of_program =
         {.name = "delete",
          .summary = "Delete an enrollment: its device can no longer register, nor use a hub of this service",
          .example = CONNECT "delete dev1",
          OPTIONS(options_if_match),
          ARGUMENTS("ID", 1)}},
    {.run = admin_disable,
     .of_program = {.name = "disable",
                    .summary = "Disable an enrollment: until it is enabled, its device can neither register "
                               "nor use a hub of this service",
                    .example = CONNECT "disable dev1",
                    ARGUMENTS("ID", 1)}},
    {.run = admin_enable,
     .of_program = {.name = "enable",
                    .summary = "Enable an enrollment that was disabled",
                    .example = CONNECT "enable dev1",
                    ARGUMENTS("ID", 1)}},
    {.run = admin_status,
     .of_program = {.name = "status",
                    .summary =
                        "Check that the service answers and the clock is right, and count the enrollments",
                    .example = CONNECT "status"}},
    {.run = admin_registration,
     .of_program = {.name = "registration",
                    .summary = "Show or delete what the service remembers about a device that has registered",
                    .example = CONNECT "registration get dev1",
                    OPTIONS(options_if_match),
                    ARGUMENTS("get|delete ID", 2)}},
    {.run = admin_message,
     .of_program = {.name = "message",
                    .summary =
                        "Send a message to a device that is connected over MQTT, or will be before the time "
                        "is over\n\nTEXT may be -, standard input. Azure's own service does not know this",
                    .example = CONNECT "message dev1 '{\"restart\":true}' \\\n      --property urgent=yes",
                    OPTIONS(options_message),
                    ARGUMENTS("ID TEXT", 2)}},
    {.run = admin_connection_string,
     .of_program = {.name = "connection-string",
                    .summary = "Print the connection string of a policy of dps-service; it is a secret",
                    .example = "(umask 077; dps-admin connection-string --policy-file policies.json \\\n"
                               "      --host dps.example > dps.conn)",
                    OPTIONS(options_string),
                    .alone = true}},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct posix_command *command(size_t i)
{
    return i < COMMAND_COUNT ? &commands[i].of_program : NULL;
}

static int run(size_t i)
{
    const struct admin_options *o = &tool.options;
    if (o->format != NULL && strcmp(o->format, "json") != 0 && strcmp(o->format, "text") != 0) {
        admin_say("--format is text or json, not \"%s\"", o->format);
        return POSIX_EXIT_USAGE;
    }
    /* A line end in a header would begin another one. */
    for (const char *c = o->if_match; c != NULL && *c != 0; c++) {
        if (*c < 0x20 || *c == 0x7F) {
            admin_say("--if-match takes an etag as get shows it");
            return POSIX_EXIT_USAGE;
        }
    }
    return commands[i].run(&tool);
}

static const struct posix_program program = {
    .name = "dps-admin",
    .needs = "--connection-string-file FILE --ca FILE",
    .purpose = "Manages the enrollments of a provisioning service",
    .example = CONNECT "list",
    .exit_codes =
        "0 ok, 1 refused by the service, 2 usage, 4 network or TLS, 5 file,\n128 + N stopped by signal N",
    .every = {.title = "Options of every command:", OPTIONS(options_all)},
    .most = {.title = "Where the service is:", OPTIONS(options_connection)},
    .help = &tool.options.help,
    .version = &tool.options.version,
    .arguments = tool.options.arguments,
    .command = command,
    .run = run,
};

int main(int argc, char **argv)
{
    const int exit_code = posix_program_run(&program, argc, argv);
    admin_close(&tool);
    return exit_code;
}
