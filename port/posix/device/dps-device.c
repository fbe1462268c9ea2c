/* SPDX-License-Identifier: MIT */
/* dps-device: the device side of the flow on a command line. This file describes its commands and options; what
 * a command does stands in device_*.c. */
#include "port/posix/device/tool.h"
#include "port/posix/explain/explain.h"
#include <string.h>

/* Everything that this program remembers, in one place, so that one wipe at the end forgets it. */
static struct device_tool tool = {.tpm = {.fd = -1}};
static struct device_options *const o = &tool.options;

static const struct posix_option options_all[] = {
    {.name = "tpm",
     .argument = "TPM",
     .text = &tool.options.tpm,
     .help = "/dev/tpmrm0 (the kernel's resource manager), /dev/tpm0, libtpms:DIR (a software\n"
             "TPM in this process), swtpm:HOST:PORT, swtpm:/SOCKET, mssim:HOST:PORT;\n"
             "default: the environment variable DPS_TPM"},
    {.name = "owner-auth-file",
     .argument = "FILE",
     .text = &tool.options.owner_auth_file,
     .help = "authorization of the owner hierarchy (mode 0600, at most 64 bytes; one line end\n"
             "at its end is ignored); default: DPS_OWNER_AUTH, else empty"},
    {.name = "endorsement-auth-file",
     .argument = "FILE",
     .text = &tool.options.endorsement_auth_file,
     .help = "authorization of the endorsement hierarchy; default: DPS_ENDORSEMENT_AUTH, else empty"},
    {.name = "lockout-auth-file",
     .argument = "FILE",
     .text = &tool.options.lockout_auth_file,
     .help = "authorization that allows clear; default: DPS_LOCKOUT_AUTH, else empty"},
    {.name = "timeout",
     .argument = "SECONDS",
     .number = &tool.options.timeout,
     .maximum = UINT32_MAX / 1000,
     .help = "how long the whole flow may take; default 900. Within that a TPM command has\n"
             "120, a connection with its TLS handshake 60, a request with its answer 60"},
    {.name = "verbose",
     .flag = &tool.options.verbose,
     .help = "print a line for each step on standard error"},
    {.name = "quiet", .flag = &tool.options.quiet, .help = "do not remark that a TPM is software"},
    {.name = "trace",
     .argument = "json|pcapng:FILE",
     .text = &tool.options.trace,
     .value_optional = true,
     .help = "explain every TPM and HTTP message on standard error, or as JSON lines, or\n"
             "write them to a file for Wireshark; passwords are masked, tokens are not"},
    {.name = "help", .flag = &tool.options.help, .help = "this, or the help of a command"},
    {.name = "version", .flag = &tool.options.version, .help = "which version this is"},
};

static const struct posix_option options_tests[] = {
    {.name = "seed",
     .argument = "TEXT",
     .text = &tool.options.seed,
     .help = "for tests: all random bytes follow from TEXT; never use it otherwise"},
    {.name = "now",
     .argument = "SECONDS",
     .number = &tool.options.now,
     .maximum = UINT32_MAX,
     .help = "for tests: the time, in seconds since 1970"},
};

#define OPTION_EK_TEMPLATE                                                                                   \
    {                                                                                                        \
        .name = "ek-template", .argument = "l1|azure-sdk", .text = &tool.options.ek_template,                \
        .help = "which EK to derive if none is persistent: l1 (TCG; default) is the one of the\n"            \
                "EK certificate, azure-sdk the one that Microsoft's C, Node and Java SDKs make"              \
    }
#define OPTION_ID                                                                                            \
    {                                                                                                        \
        .name = "id", .argument = "ID", .text = &tool.options.id, .maximum = DPS_REGISTRATION_ID_MAX,        \
        .help = "registration ID; default: base32 of SHA-256 of EK_pub, as Microsoft's SDKs"                 \
    }
#define OPTION_CA                                                                                            \
    {                                                                                                        \
        .name = "ca", .argument = "FILE", .text = &tool.options.ca,                                          \
        .help = "trusted issuers of the server's certificate: PEM or DER"                                    \
    }
#define OPTION_STATE(text_)                                                                                  \
    {                                                                                                        \
        .name = "state", .argument = "FILE", .text = &tool.options.state, .help = text_                      \
    }
#define OPTION_CONNECT_TO                                                                                    \
    {                                                                                                        \
        .name = "connect-to", .argument = "HOST:PORT", .text = &tool.options.connect_to,                     \
        .help = "connect there, whatever the name; the certificate is still checked for\nthe name"           \
    }
#define OPTION_HUB_PORT                                                                                      \
    {                                                                                                        \
        .name = "hub-port", .argument = "PORT", .number = &tool.options.hub_port, .maximum = 65535,          \
        .help = "port of the hub; default 443"                                                               \
    }

static const struct posix_option options_ek[] = {
    OPTION_EK_TEMPLATE,
    OPTION_ID,
    {.name = "format",
     .argument = "FORMAT",
     .text = &tool.options.format,
     .help = "text (default: all of them), base64 or 2b (TPM2B_PUBLIC), pem, json (an\nenrollment)"},
    {.name = "certificate",
     .argument = "FILE",
     .text = &tool.options.certificate,
     .help = "also write the EK certificate there, as DER"},
};
static const struct posix_option options_own[] = {
    OPTION_EK_TEMPLATE,
    {.name = "new-owner-auth-file",
     .argument = "FILE",
     .text = &tool.options.new_owner_auth_file,
     .help = "set this owner authorization, at most 32 bytes"},
    {.name = "new-endorsement-auth-file",
     .argument = "FILE",
     .text = &tool.options.new_endorsement_auth_file,
     .help = "set this endorsement authorization"},
    {.name = "new-lockout-auth-file",
     .argument = "FILE",
     .text = &tool.options.new_lockout_auth_file,
     .help = "set this lockout authorization"},
    {.name = "persist",
     .flag = &tool.options.persist,
     .help = "keep EK and SRK at 0x81010001 and 0x81000001: slow TPMs then need not derive\nthem again and "
             "again"},
};
static const struct posix_option options_clear[] = {
    {.name = "yes", .flag = &tool.options.yes, .help = "I know what will be lost"},
};
static const struct posix_option options_register[] = {
    {.name = "service",
     .argument = "https://HOST[:PORT]",
     .text = &tool.options.service,
     .help = "the provisioning service, by the name in its certificate"},
    OPTION_CA,
    {.name = "scope",
     .argument = "ID",
     .text = &tool.options.scope,
     .maximum = DPS_ID_SCOPE_MAX,
     .help = "its ID scope, such as 0ne00000A0A"},
    OPTION_STATE("where the hub and the wrapped hub key are kept; no secret without this TPM"),
    OPTION_ID,
    {.name = "payload",
     .argument = "JSON",
     .text = &tool.options.payload,
     .maximum = DEVICE_PAYLOAD_MAX,
     .help = "for custom allocation"},
    OPTION_EK_TEMPLATE,
    {.name = "srk",
     .argument = "standard|hardened",
     .text = &tool.options.srk,
     .help =
         "the key that nonce and hub key come in under: standard (default) is TCG's;\nhardened is good for "
         "TPM2_Import and TPM2_Load only, so that nobody gets\nthem out with TPM2_Rewrap (`info` says "
         "whether the TPM has it): one key more to\nderive, 9 commands more. --state remembers which"},
    POSIX_OPTIONS_PROXY(&tool.options.proxy, &tool.options.proxy_auth_file),
    OPTION_CONNECT_TO,
    OPTION_HUB_PORT,
};
static const struct posix_option options_token[] = {
    OPTION_STATE("what register kept"),
};
static const struct posix_option options_send[] = {
    OPTION_STATE("what register kept"),
    OPTION_CA,
    {.name = "message",
     .argument = "TEXT",
     .text = &tool.options.message,
     .maximum = DEVICE_MESSAGE_MAX,
     .help = "what to send"},
    {.name = "message-file",
     .argument = "FILE",
     .text = &tool.options.message_file,
     .help = "the same from a file, or - for standard input; no longer either"},
    OPTION_HUB_PORT,
    POSIX_OPTIONS_PROXY(&tool.options.proxy, &tool.options.proxy_auth_file),
    OPTION_CONNECT_TO,
};
static const struct posix_option options_seal[] = {
    {.name = "in",
     .argument = "FILE",
     .text = &tool.options.in,
     .help = "the secret, 1 to 128 bytes; default: standard input"},
    {.name = "out", .argument = "FILE", .text = &tool.options.out, .help = "the sealed blob"},
};
static const struct posix_option options_unseal[] = {
    {.name = "in", .argument = "FILE", .text = &tool.options.in, .help = "what seal wrote"},
    {.name = "out",
     .argument = "FILE",
     .text = &tool.options.out,
     .help = "where the secret goes (mode 0600); default: standard output"},
};

static const struct posix_option options_explain[] = {
    {.name = "as",
     .argument = "KIND",
     .text = &tool.options.as,
     .help = "do not guess: command, response, public, blob, token, json, request or answer"},
    {.name = "response-to",
     .argument = "COMMAND",
     .text = &tool.options.response_to,
     .help = "what a response answers, such as TPM2_Load"},
    {.name = "format", .argument = "text|json", .text = &tool.options.format, .help = "default: text"},
};

struct command {
    const char *name;
    const char *summary;
    const char *example;
    int (*run)(struct device_tool *t);
    const struct posix_option *options;
    size_t option_count;
    const char *operand; /* what may stand after the command without an option; null: nothing */
    bool no_tpm;
};
#define OPTIONS(array) (array), sizeof(array) / sizeof(array)[0]

static int run_explain(struct device_tool *t)
{
    const struct device_options *given = &t->options;
    const struct explain_options options = {given->operand, given->as, given->response_to, given->format};
    return explain_run(&options);
}

static const struct command commands[] = {
    {"ek", "Step 1: the endorsement key, for enrolling this device (step 2)",
     "dps-device --tpm /dev/tpmrm0 ek --format json > enrollment.json", device_ek, OPTIONS(options_ek), NULL,
     false},
    {"own", "Step 3: take ownership: authorizations, storage root key",
     "dps-device --tpm /dev/tpmrm0 own --new-owner-auth-file owner.auth --persist", device_own,
     OPTIONS(options_own), NULL, false},
    {"clear", "End the ownership: destroys the storage root key and all keys under it",
     "dps-device --tpm /dev/tpmrm0 --lockout-auth-file lockout.auth clear --yes", device_clear,
     OPTIONS(options_clear), NULL, false},
    {"register", "Steps 4 to 9: prove EK and SRK to the service, be assigned to a hub",
     "dps-device --tpm /dev/tpmrm0 register --service https://dps.example --ca ca.pem \\\n"
     "      --scope 0ne00000A0A --state device.state",
     device_register, OPTIONS(options_register), NULL, false},
    {"token", "Step 10: print a hub token, signed inside the TPM, good for an hour",
     "dps-device --tpm /dev/tpmrm0 token --state device.state", device_token, OPTIONS(options_token), NULL,
     false},
    {"send", "Step 10: send one message to the hub",
     "dps-device --tpm /dev/tpmrm0 send --state device.state --ca ca.pem --message '{\"t\":21.5}'",
     device_send, OPTIONS(options_send), NULL, false},
    {"seal", "Encrypt up to 128 bytes so that only this TPM, under this owner, gives them back",
     "dps-device --tpm /dev/tpmrm0 seal --in secret.txt --out secret.sealed", device_seal,
     OPTIONS(options_seal), NULL, false},
    {"unseal", "Give back what seal has sealed", "dps-device --tpm /dev/tpmrm0 unseal --in secret.sealed",
     device_unseal, OPTIONS(options_unseal), NULL, false},
    {"info", "What this TPM is, can do and holds", "dps-device --tpm /dev/tpmrm0 info", device_info, NULL, 0,
     NULL, false},
    {"flush",
     "Remove keys and sessions that a killed program left in the TPM, saved ones as well\n"
     "(only without a resource manager, and only if no other program uses the TPM: it\n"
     "removes theirs as well)",
     "dps-device --tpm swtpm:localhost:2321 flush", device_flush, NULL, 0, NULL, false},
    {"explain",
     "What is this? A TPM command or response, response code, key, activation blob, SAS token,\n"
     "enrollment or HTTP message, explained field by field: raw, in hex or base64, as a hexdump,\n"
     "out of a log (dmesg, tpm2-tss, swtpm, curl -v) or a capture (pcap, pcapng)",
     "echo 80010000000c0000017b0020 | dps-device explain", run_explain, OPTIONS(options_explain), "[FILE|-]",
     true},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct posix_option_group group_all = {"Options of every command:", OPTIONS(options_all)};
static const struct posix_option_group group_tests = {"For tests:", OPTIONS(options_tests)};

static void program_help(FILE *out)
{
    const struct posix_option_group groups[] = {group_all, group_tests};
    fputs("Usage: dps-device --tpm TPM COMMAND [options]\n\n"
          "Provisions a device by TPM attestation. Commands, each with its own --help:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-10s%.*s\n", commands[i].name, (int)strcspn(commands[i].summary, "\n"),
                commands[i].summary);
    }
    options_help(out, groups, 2);
    fputs(
        "\nExample: dps-device --tpm libtpms:/tmp/tpm ek\n\n"
        "Exit codes: 0 ok, 1 refused by the other side, 2 usage, 3 TPM, 4 network, TLS or clock, 5 state or "
        "other file,\n"
        "130 or 143 interrupted.\n",
        out);
}

static void command_help(FILE *out, const struct command *c)
{
    const struct posix_option_group groups[] = {
        {"Options:", c->options, c->option_count}, group_all, group_tests};
    fprintf(out, "Usage: dps-device %s%s%s%s%s\n\n%s.\n\nExample:\n  %s\n", c->no_tpm ? "" : "--tpm TPM ",
            c->name, c->option_count > 0 ? " [options]" : "", c->operand != NULL ? " " : "",
            c->operand != NULL ? c->operand : "", c->summary, c->example);
    options_help(out, groups, 3);
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
        device_say("there is no command \"%s\"; did you mean %s?", name, nearest.best);
    } else {
        device_say("there is no command \"%s\"; dps-device --help lists them", name);
    }
    return NULL;
}

/* Options of every command may stand before or after the command. */
static int parse(int argc, char *const *argv, const struct command **command)
{
    char why[512];
    int at = 1;
    *command = NULL;
    const struct posix_option_group before[] = {group_all, group_tests};
    if (options_parse(before, 2, argc, argv, &at, why, sizeof why) != 0) {
        device_say("%s", why);
        return POSIX_EXIT_USAGE;
    }
    if (at == argc) {
        if (!o->help && !o->version) {
            device_say("no command given; dps-device --help lists them");
        }
        return o->help || o->version ? 0 : POSIX_EXIT_USAGE;
    }
    *command = find_command(argv[at++]);
    if (*command == NULL) {
        return POSIX_EXIT_USAGE;
    }
    const struct posix_option_group behind[] = {
        {"", (*command)->options, (*command)->option_count}, group_all, group_tests};
    if (options_parse(behind, 3, argc, argv, &at, why, sizeof why) != 0) {
        device_say("%s: %s", (*command)->name, why);
        return POSIX_EXIT_USAGE;
    }
    if (at < argc && (*command)->operand != NULL) {
        o->operand = argv[at++];
    }
    if (at < argc) {
        device_say("%s: what is \"%s\"? Values stand after an option; --help lists them", (*command)->name,
                   argv[at]);
        return POSIX_EXIT_USAGE;
    }
    if (o->trace != NULL && o->trace[0] != 0 && strcmp(o->trace, "json") != 0 &&
        strncmp(o->trace, DEVICE_TRACE_PCAPNG, strlen(DEVICE_TRACE_PCAPNG)) != 0) {
        device_say(
            "--trace alone is for people, --trace=json for programs, --trace=pcapng:FILE for Wireshark; "
            "there is no \"%s\"",
            o->trace);
        return POSIX_EXIT_USAGE;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct command *command;
    posix_keep_memory_private();
    int exit_code = parse(argc, argv, &command);
    if (exit_code == 0 && o->version) {
        options_version("dps-device");
    } else if (exit_code == 0 && command == NULL) {
        program_help(stdout);
    } else if (exit_code == 0 && o->help) {
        command_help(stdout, command);
    } else if (exit_code == 0) {
        posix_catch_signals();
        exit_code = command->run(&tool);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == 0) {
        device_say("the result could not be written to standard output");
        exit_code = POSIX_EXIT_STORE;
    }
    const int close_code = device_close(&tool);
    return exit_code != 0 ? exit_code : close_code;
}
