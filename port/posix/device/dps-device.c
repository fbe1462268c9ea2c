/* SPDX-License-Identifier: MIT */
/* dps-device: the device side of the flow on a command line. This file describes its commands and options; what
 * a command does is in the other files of this directory. */
#include "port/posix/device/tool.h"
#include "port/posix/explain/explain.h"
#include "port/posix/program.h"
#include <string.h>

/* Everything that this program remembers, in one place, so that one wipe at the end forgets it. */
static struct device_tool tool = {.tpm = {.fd = -1}};

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
     .help = "password of the owner hierarchy (mode 0600, at most 64 bytes; one line end\n"
             "at its end is ignored); default: the value of DPS_OWNER_AUTH, else empty"},
    {.name = "endorsement-auth-file",
     .argument = "FILE",
     .text = &tool.options.endorsement_auth_file,
     .help = "password of the endorsement hierarchy, where it has one: register needs it; if the\n"
             "EK is not persistent, so do ek and every command that protects a password by a\n"
             "session; default: DPS_ENDORSEMENT_AUTH"},
    {.name = "lockout-auth-file",
     .argument = "FILE",
     .text = &tool.options.lockout_auth_file,
     .help = "password that allows clear; default: the value of DPS_LOCKOUT_AUTH, else empty"},
    {.name = "no-sessions",
     .flag = &tool.options.no_sessions,
     .help = "for a TPM that refuses salted sessions: whoever listens on its bus then sees\n"
             "passwords, inner keys and what is sealed"},
    {.name = "timeout",
     .argument = "SECONDS",
     .number = &tool.options.timeout,
     .maximum = UINT32_MAX / 1000,
     .help = "how long the whole flow may take; default 900. Within that a TPM command has\n"
             "120, a connection with its TLS handshake 60, a request with its answer 60"},
    {.name = "verbose",
     .flag = &tool.options.verbose,
     .help = "print a line for each step on standard error"},
    {.name = "quiet", .flag = &tool.options.quiet, .help = "do not print the note that a TPM is software"},
    {.name = "trace",
     .argument = "json|pcapng:FILE",
     .text = &tool.options.trace,
     .value_optional = true,
     .help = "explain every TPM, HTTP and MQTT message on standard error, or as JSON lines, or\n"
             "write them to a file for Wireshark; passwords are masked, tokens are not"},
    POSIX_OPTIONS_PROGRAM(&tool.options.help, &tool.options.version),
};

static const struct posix_option options_tests[] = {
    {.name = "trace-secrets",
     .flag = &tool.options.trace_secrets,
     .help = "for teaching, never in production: --trace also shows passwords, salts, session\n"
             "keys, and in clear what sessions hide"},
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
#define OPTION_KNOWN OPTION_STATE("of an earlier register: nothing is done to a TPM that it is not of")
#define OPTION_CONNECT_TO                                                                                    \
    {                                                                                                        \
        .name = "connect-to", .argument = "HOST:PORT", .text = &tool.options.connect_to,                     \
        .help = "connect there, whatever the name; the certificate is still checked for\nthe name"           \
    }
#define OPTION_HUB_PORT                                                                                      \
    {                                                                                                        \
        .name = "hub-port", .argument = "PORT", .number = &tool.options.hub_port, .maximum = 65535,          \
        .help = "port of the hub; default 443, for MQTT 8883"                                                \
    }
#define OPTION_TOKEN_LIFETIME                                                                                \
    {                                                                                                        \
        .name = "token-lifetime", .argument = "SECONDS", .number = &tool.options.token_lifetime,             \
        .maximum = UINT32_MAX / 1000, .help = "how long a token is good for; default 3600"                   \
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
     .help = "set this owner password, at most 32 bytes; long and random, since whoever listens\n"
             "on the bus can try guesses at home: head -c 32 /dev/urandom"},
    {.name = "new-endorsement-auth-file",
     .argument = "FILE",
     .text = &tool.options.new_endorsement_auth_file,
     .help = "set this endorsement password, at most 32 bytes; long and random, likewise"},
    {.name = "new-lockout-auth-file",
     .argument = "FILE",
     .text = &tool.options.new_lockout_auth_file,
     .help = "set this lockout password, at most 32 bytes; without one anybody at the TPM may\n"
             "clear it"},
    OPTION_KNOWN,
    {.name = "persist",
     .flag = &tool.options.persist,
     .help = "keep EK and SRK at 0x81010001 and 0x81000001: slow TPMs then need not derive\nthem again and "
             "again. What is under a persistent SRK, seal's secrets too, then needs\nno owner password"},
};
static const struct posix_option options_clear[] = {
    {.name = "yes", .flag = &tool.options.yes, .help = "I know what will be lost"},
    OPTION_KNOWN,
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
    OPTION_STATE("where the hub and the wrapped hub key are kept; not a secret without this TPM"),
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
         "the SRK that imports nonce and hub key: standard (default) is TCG's;\nhardened is good for "
         "TPM2_Import and TPM2_Load only, so that nobody gets\nthem out with TPM2_Rewrap (`info` says "
         "whether the TPM has it): one more key to\nderive, 7 to 9 more commands. --state remembers which"},
    POSIX_OPTIONS_PROXY(&tool.options.proxy, &tool.options.proxy_auth_file),
    OPTION_CONNECT_TO,
    OPTION_HUB_PORT,
};
static const struct posix_option options_token[] = {
    OPTION_STATE("the file that register wrote"),
    OPTION_TOKEN_LIFETIME,
};
static const struct posix_option options_send[] = {
    OPTION_STATE("the file that register wrote"),
    OPTION_CA,
    {.name = "message",
     .argument = "TEXT",
     .text = &tool.options.message,
     .maximum = DEVICE_MESSAGE_MAX,
     .help = "what to send"},
    {.name = "message-file",
     .argument = "FILE",
     .text = &tool.options.message_file,
     .help = "the same from a file, or - for standard input; at most as long"},
    {.name = "mqtt", .flag = &tool.options.mqtt, .help = "over MQTT instead of HTTPS"},
    OPTION_HUB_PORT,
    POSIX_OPTIONS_PROXY(&tool.options.proxy, &tool.options.proxy_auth_file),
    OPTION_CONNECT_TO,
};
static const struct posix_option options_connect[] = {
    OPTION_STATE("the file that register wrote"),
    OPTION_CA,
    {.name = "stay", .flag = &tool.options.stay, .help = "go on after the end of standard input"},
    {.name = "keep-alive",
     .argument = "SECONDS",
     .number = &tool.options.keep_alive,
     .maximum = UINT16_MAX,
     .help = "after how much silence the hub may give this device up; default 180"},
    OPTION_TOKEN_LIFETIME,
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
    OPTION_KNOWN,
};
static const struct posix_option options_unseal[] = {
    {.name = "in", .argument = "FILE", .text = &tool.options.in, .help = "what seal wrote"},
    {.name = "out",
     .argument = "FILE",
     .text = &tool.options.out,
     .help = "where to write the secret (mode 0600); default: standard output"},
    OPTION_KNOWN,
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
    int (*run)(struct device_tool *t);
    struct posix_command of_program;
};
#define OPTIONS(array) .options = (array), .count = sizeof(array) / sizeof(array)[0]

static int run_explain(struct device_tool *t)
{
    const struct device_options *given = &t->options;
    const struct explain_options options = {given->operand, given->as, given->response_to, given->format};
    return explain_run(&options);
}

static const struct command commands[] = {
    {.run = device_ek,
     .of_program = {.name = "ek",
                    .summary = "Step 1: the endorsement key, for enrolling this device (step 2)",
                    .example = "dps-device --tpm /dev/tpmrm0 ek --format json > enrollment.json",
                    OPTIONS(options_ek)}},
    {.run = device_own,
     .of_program = {.name = "own",
                    .summary = "Step 3: take ownership: authorizations, storage root key",
                    .example = "dps-device --tpm /dev/tpmrm0 own --new-owner-auth-file owner.auth --persist",
                    OPTIONS(options_own)}},
    {.run = device_clear,
     .of_program = {.name = "clear",
                    .summary = "End the ownership: destroys the storage root key and all keys under it",
                    .example = "dps-device --tpm /dev/tpmrm0 --lockout-auth-file lockout.auth clear --yes",
                    OPTIONS(options_clear)}},
    {.run = device_register,
     .of_program = {.name = "register",
                    .summary = "Steps 4 to 9: prove EK and SRK to the service, be assigned to a hub",
                    .example =
                        "dps-device --tpm /dev/tpmrm0 register --service https://dps.example --ca ca.pem \\\n"
                        "      --scope 0ne00000A0A --state device.state",
                    OPTIONS(options_register)}},
    {.run = device_token,
     .of_program = {.name = "token",
                    .summary = "Step 10: print a hub token, signed inside the TPM, valid for an hour",
                    .example = "dps-device --tpm /dev/tpmrm0 token --state device.state",
                    OPTIONS(options_token)}},
    {.run = device_send,
     .of_program =
         {.name = "send",
          .summary = "Step 10: send one message to the hub",
          .example =
              "dps-device --tpm /dev/tpmrm0 send --state device.state --ca ca.pem --message '{\"t\":21.5}'",
          OPTIONS(options_send)}},
    {.run = device_connect,
     .of_program =
         {.name = "connect",
          .summary =
              "Step 10: stay connected to the hub over MQTT: each line of standard input is sent as a\n"
              "message, each message for this device is printed as a line; until the end of standard\n"
              "input, or SIGINT or SIGTERM. A lost connection is made again, a token renewed before it\n"
              "expires",
          .example = "dps-device --tpm /dev/tpmrm0 connect --state device.state --ca ca.pem",
          OPTIONS(options_connect)}},
    {.run = device_seal,
     .of_program = {.name = "seal",
                    .summary =
                        "Encrypt up to 128 bytes so that only this TPM, under this owner, gives them back",
                    .example = "dps-device --tpm /dev/tpmrm0 seal --in secret.txt --out secret.sealed",
                    OPTIONS(options_seal)}},
    {.run = device_unseal,
     .of_program = {.name = "unseal",
                    .summary = "Give back what seal sealed",
                    .example = "dps-device --tpm /dev/tpmrm0 unseal --in secret.sealed",
                    OPTIONS(options_unseal)}},
    {.run = device_info,
     .of_program = {.name = "info",
                    .summary = "What this TPM is, can do and holds",
                    .example = "dps-device --tpm /dev/tpmrm0 info"}},
    {.run = device_flush,
     .of_program = {.name = "flush",
                    .summary =
                        "Remove keys and sessions that a killed program left in the TPM, saved ones as well\n"
                        "(only without a resource manager, and only if no other program uses the TPM: it\n"
                        "removes theirs as well)",
                    .example = "dps-device --tpm swtpm:localhost:2321 flush"}},
    {.run = run_explain,
     .of_program =
         {.name = "explain",
          .summary = "What is this? Bytes of a TPM or of the flow, explained field by field\n"
                     "(TPM command or response, response code, key, activation blob, SAS token, enrollment,\n"
                     "HTTP message: raw, in hex or base64, as a hexdump, out of a log of dmesg, tpm2-tss,\n"
                     "swtpm or curl -v, or out of a capture, pcap or pcapng)",
          .example = "echo 80010000000c0000017b0020 | dps-device explain",
          OPTIONS(options_explain),
          .arguments = "[FILE|-]",
          .arguments_max = 1,
          .alone = true}},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct posix_command *command(size_t i)
{
    return i < COMMAND_COUNT ? &commands[i].of_program : NULL;
}

static int run(size_t i)
{
    const char *trace = tool.options.trace;
    if (trace != NULL && trace[0] != 0 && strcmp(trace, "json") != 0 &&
        strncmp(trace, DEVICE_TRACE_PCAPNG, strlen(DEVICE_TRACE_PCAPNG)) != 0) {
        device_say(
            "--trace alone is for people, --trace=json for programs, --trace=pcapng:FILE for Wireshark; "
            "there is no \"%s\"",
            trace);
        return POSIX_EXIT_USAGE;
    }
    if (tool.options.trace_secrets && trace == NULL) {
        device_say("--trace-secrets only adds to --trace, which is not given");
        return POSIX_EXIT_USAGE;
    }
    return commands[i].run(&tool);
}

static const struct posix_program program = {
    .name = "dps-device",
    .needs = "--tpm TPM",
    .purpose = "Provisions a device by TPM attestation",
    .example = "dps-device --tpm libtpms:/tmp/tpm ek",
    .exit_codes = "0 ok, 1 refused by the other side, 2 usage, 3 TPM, 4 network, TLS or clock, 5 state or "
                  "other file,\n130 or 143 interrupted",
    .every = {.title = "Options of every command:", OPTIONS(options_all)},
    .most = {.title = "For tests:", OPTIONS(options_tests)},
    .help = &tool.options.help,
    .version = &tool.options.version,
    .arguments = &tool.options.operand,
    .command = command,
    .elsewhere = {"enroll", "dps-admin enroll does that, with what dps-device ek prints"},
    .run = run,
};

int main(int argc, char **argv)
{
    const int exit_code = posix_program_run(&program, argc, argv);
    const int close_code = device_close(&tool);
    return exit_code != 0 ? exit_code : close_code;
}
