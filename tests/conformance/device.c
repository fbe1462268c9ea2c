/* SPDX-License-Identifier: MIT */
/* The suite for device clients: is this client correct, and how does it react to a service that is not? */
#include "tests/conformance/device.h"
#include "crypto/tls_identity.h"
#include "port/posix/service/files.h"
#include <stdlib.h>
#include <string.h>

struct client_options client_options = {.timeout_seconds = 20};

static const struct posix_option options[] = {
    {.name = "device-listen",
     .argument = "ADDR:PORT",
     .text = &client_options.listen,
     .help = "be the service for a device client, and judge it (port 0: any free one)"},
    {.name = "device-cert",
     .argument = "PEM",
     .text = &client_options.certificate,
     .help = "the service's certificate chain, for the name of --device-host"},
    {.name = "device-key", .argument = "PEM", .text = &client_options.key, .help = "its private key"},
    {.name = "device-ca",
     .argument = "PEM",
     .text = &client_options.ca,
     .help = "its issuer, for the client to trust; default: the certificate itself"},
    {.name = "device-host",
     .argument = "NAME",
     .text = &client_options.host,
     .help = "the service's name; default localhost"},
    {.name = "device-scope",
     .argument = "ID",
     .text = &client_options.scope,
     .help = "the ID scope that the client uses; default 0ne00000A0A"},
    {.name = "device-id",
     .argument = "ID",
     .text = &client_options.id,
     .help = "told to the client; it may use another. Default conformance-1"},
    {.name = "device-hub",
     .argument = "NAME",
     .text = &client_options.hub,
     .help = "the hub that the client is assigned to; default: the service's name"},
    {.name = "device-srk",
     .argument = "standard|hardened",
     .text = &client_options.srk,
     .help = "which SRK the client was told to use; default: either is accepted"},
    {.name = "device-command",
     .argument = "COMMAND",
     .text = &client_options.command,
     .help = "lets the client register once; run by sh, for each case at least once, with\n"
             "CONFORMANCE_URL, _HOST, _PORT, _CA (a file), _SCOPE, _ID, _HUB and _STATE (a\n"
             "directory for its files) in its environment; it exits with 0 if it was\n"
             "assigned. Without: start the client yourself, again and again"},
    {.name = "device-send-command",
     .argument = "COMMAND",
     .text = &client_options.send_command,
     .help = "lets it send one message to its hub, which is at the service's address"},
    {.name = "device-timeout",
     .argument = "SECONDS",
     .number = &client_options.timeout_seconds,
     .maximum = 3600,
     .help = "how long the client may take; default 20"},
    {.name = "device-cert-other-name",
     .argument = "PEM",
     .text = &client_options.other_name,
     .help = "certificates that the client must refuse, each with its key in the same file:\n"
             "for another name,"},
    {.name = "device-cert-expired", .argument = "PEM", .text = &client_options.expired, .help = "expired,"},
    {.name = "device-cert-untrusted",
     .argument = "PEM",
     .text = &client_options.untrusted,
     .help = "from an untrusted issuer"},
};

static const struct conformance_case *const groups[] = {client_cases_register,
                                                        client_cases_blob,
                                                        client_cases_http,
                                                        client_cases_tls,
                                                        client_cases_assign,
                                                        client_cases_hub,
                                                        NULL};

static bool wanted(void)
{
    return client_options.listen != NULL;
}

static int load(const char *certificate, const char *key, struct crypto_identity *identity, char *why,
                size_t why_size)
{
    struct server_pem pem;
    crypto_identity_wipe(identity);
    const int error = server_identity_read(certificate, key, &pem, identity, why, why_size);
    bytes_wipe(&pem, sizeof pem);
    return error == 0 ? 0 : POSIX_EXIT_NETWORK;
}

static void take_defaults(void)
{
    struct client_options *o = &client_options;
    o->host = o->host != NULL ? o->host : "localhost";
    o->scope = o->scope != NULL ? o->scope : "0ne00000A0A";
    o->id = o->id != NULL ? o->id : "conformance-1";
    o->ca = o->ca != NULL ? o->ca : o->certificate;
    o->hub = o->hub != NULL ? o->hub : o->host;
}

static int open_bench(struct client_bench *b, char *why, size_t why_size)
{
    if (client_options.certificate == NULL || client_options.key == NULL) {
        snprintf(why, why_size, "--device-listen needs --device-cert and --device-key");
        return POSIX_EXIT_USAGE;
    }
    const char *srk = client_options.srk;
    if (srk != NULL && strcmp(srk, client_srks[0]) != 0 && strcmp(srk, client_srks[1]) != 0) {
        snprintf(why, why_size, "--device-srk is %s or %s, not \"%s\"", client_srks[0], client_srks[1], srk);
        return POSIX_EXIT_USAGE;
    }
    take_defaults();
    int exit_code = load(client_options.certificate, client_options.key, &b->identity, why, why_size);
    if (exit_code != 0) {
        return exit_code;
    }
    if (client_directory_make(b, why, why_size) != 0) {
        return POSIX_EXIT_STORE;
    }
    int error = client_listen(b, why, why_size);
    if (error != 0) {
        return error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_NETWORK;
    }
    if (client_options.command == NULL) {
        fprintf(
            stderr,
            "dps-conformance: listening on port %u for https://%s:%u. Let the client register now, with ID "
            "scope %s,\nand again and again, each time 4 seconds after it has ended: each time is the next "
            "case.\n",
            (unsigned)b->port, client_options.host, (unsigned)b->port, client_options.scope);
    }
    return 0;
}

static int open_suite(struct conformance *c, char *why, size_t why_size)
{
    struct client_bench *b = calloc(1, sizeof *b);
    c->suite_state = b;
    if (b == NULL) {
        snprintf(why, why_size, "no memory");
        return POSIX_EXIT_STORE;
    }
    b->c = c;
    b->listener = b->other_listener = -1;
    return open_bench(b, why, why_size);
}

static void close_suite(struct conformance *c)
{
    struct client_bench *b = c->suite_state;
    if (b == NULL) {
        return;
    }
    client_stop(b);
    client_listen_end(b);
    client_directory_remove(b);
    bytes_wipe(b, sizeof *b);
    free(b);
    c->suite_state = NULL;
}

const struct conformance_suite conformance_device = {
    .name = "DEV",
    .title = "a device client",
    .groups = groups,
    .options = {"A device client:", options, sizeof options / sizeof options[0]},
    .wanted = wanted,
    .open = open_suite,
    .close = close_suite,
};

/* ---- Certificates ---- */

/* The client must break off the handshake, or at least say nothing. */
void client_run_certificate(struct conformance *c)
{
    static const struct {
        const char *id, *option;
        const char *const *file;
    } rows[] = {
        {"DEV-S00-050", "device-cert-other-name", &client_options.other_name},
        {"DEV-S00-051", "device-cert-expired", &client_options.expired},
        {"DEV-S00-052", "device-cert-untrusted", &client_options.untrusted},
    };
    struct client_bench *b = c->suite_state;
    char why[512], told[512];
    uint8_t before[CRYPTO_SHA256_SIZE];
    size_t i = 0;
    while (i < 2 && strcmp(rows[i].id, c->now->id) != 0) {
        i++;
    }
    const char *file = *rows[i].file;
    if (file == NULL) {
        conformance_skip(c, "needs --%s", rows[i].option);
        return;
    }
    if (load(file, file, &b->wrong_identity, why, sizeof why) != 0) {
        conformance_check(c, false, "%s", why);
        return;
    }
    client_files(b, before);
    b->use_wrong_identity = true;
    client_play(b, NULL, 0);
    b->use_wrong_identity = false;
    client_tell(b, told, sizeof told);
    if (!b->seen.ran && b->seen.refused + b->seen.connections == 0) {
        conformance_skip(c, "no client came");
        return;
    }
    conformance_check(c, b->seen.requests == 0, "it spoke to it: %s", told);
    conformance_check(c, b->seen.refused > 0, "it never came: %s", told);
    conformance_check(c, b->seen.signal == 0 && !b->seen.timed_out, "it crashed or hangs: %s", told);
    conformance_check(c, !b->seen.ran || b->seen.exit_code != 0, "it takes this for success: %s", told);
    conformance_note(c, "%s", told);
    (void)client_kept_files(b, before, told);
}
