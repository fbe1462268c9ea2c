/* SPDX-License-Identifier: MIT */
/* Is this service correct? The suite is a device whose TPM is software (RSA keys with the public areas of an EK and an
 * SRK), an administrator who enrolls it, and an attacker. It deletes everything that it makes. */
#include "tests/conformance/service.h"
#include "dps/protocol/text.h"
#include "port/posix/pki/pem.h"
#include <errno.h>
#include <string.h>

struct service_options service_given = {.timeout = 30};

static const struct posix_option options[] = {
    {.name = "service",
     .argument = "URL",
     .text = &service_given.url,
     .help = "the service to check: https://HOST[:PORT]"},
    {.name = "ca",
     .argument = "FILE",
     .text = &service_given.ca,
     .help = "trusted issuers of its certificate: PEM or DER"},
    {.name = "scope",
     .argument = "ID",
     .text = &service_given.scope,
     .help = "its ID scope, as devices name it"},
    {.name = "connection-string-file",
     .argument = "FILE",
     .text = &service_given.connection_string_file,
     .help = "HostName=..;SharedAccessKeyName=..;SharedAccessKey=.. of a policy that may\n"
             "write and read enrollments and registrations. Without it only what needs no\n"
             "enrollment is checked"},
    {.name = "reader-connection-string-file",
     .argument = "FILE",
     .text = &service_given.reader_file,
     .help = "likewise, of a policy that may only read enrollments: checks its limits"},
    {.name = "connect-to",
     .argument = "HOST:PORT",
     .text = &service_given.connect_to,
     .help = "connect there; the certificate is still checked for the URL's name"},
    {.name = "hub",
     .argument = "HOST:PORT",
     .text = &service_given.hub,
     .value_optional = true,
     .help = "also use the hub key at the assigned hub, port 443, or connect to HOST:PORT\n"
             "(then with --hub=HOST:PORT)"},
    {.name = "amqp",
     .argument = "HOST:PORT",
     .text = &service_given.amqp,
     .value_optional = true,
     .help = "also provision over AMQP, port 5671, or connect to HOST:PORT (then with\n--amqp=HOST:PORT)"},
    {.name = "mqtt",
     .argument = "HOST:PORT",
     .text = &service_given.mqtt,
     .value_optional = true,
     .help = "also use the hub key over MQTT at the assigned hub, port 8883, or likewise"},
    {.name = "timeout",
     .argument = "SECONDS",
     .number = &service_given.timeout,
     .maximum = 600,
     .help = "for one answer (default 30)"},
};

static bool wanted(void)
{
    return service_given.url != NULL;
}

/* ---- Beginning ----------------------------------------------------------------------------------------- */

static void note(const char *sentence)
{
    fprintf(stderr, "dps-conformance: %s\n", sentence);
}

static int read_trust(struct service *s, char *why, size_t why_size)
{
    if (service_given.ca == NULL) {
        snprintf(why, why_size, "--ca FILE is missing: the trusted issuers of the service's certificate");
        return POSIX_EXIT_USAGE;
    }
    return pki_trust_read(service_given.ca, &s->trust, note, why, why_size) == 0 ? 0 : POSIX_EXIT_STORE;
}

/* HostName is not asked for: --service says where it is, and whom tokens are for. */
static bool parse_policy(struct bytes text, struct service_policy *p)
{
    const struct posix_connection_string given = options_connection_string(text);
    snprintf(p->name, sizeof p->name, "%.*s", (int)given.key_name.len, (const char *)given.key_name.p);
    if (dps_base64_decode(given.key, p->key, sizeof p->key, &p->key_len) != 0) {
        return false;
    }
    return p->name[0] != 0 && p->key_len > 0;
}

static int read_policy(const char *path, struct service_policy *p, char *why, size_t why_size)
{
    uint8_t text[1024];
    size_t len;
    if (path == NULL) {
        return 0;
    }
    if (posix_secret_read(path, text, sizeof text, &len, why, why_size) != 0) {
        return POSIX_EXIT_STORE;
    }
    const bool read = parse_policy(bytes_of(text, len), p);
    bytes_wipe(text, sizeof text);
    if (!read) {
        snprintf(why, why_size,
                 "%s must hold HostName=HOST;SharedAccessKeyName=NAME;SharedAccessKey=BASE64, as dps-admin "
                 "connection-string prints it",
                 path);
        return POSIX_EXIT_USAGE;
    }
    return 0;
}

static int connect_once(struct service *s, char *why, size_t why_size)
{
    const int error = service_link_open(s, &s->link, s->host);
    if (error == 0) {
        return 0;
    }
    snprintf(why, why_size, "%s:%u cannot be reached: %s", s->host, s->port,
             error == BYTES_E_TLS ? crypto_tls_error_text(s->link.tls_error) : posix_error_text(error));
    return error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_NETWORK;
}

static int open_service(struct conformance *c, char *why, size_t why_size)
{
    static struct service state;
    struct service *s = &state;
    memset(s, 0, sizeof *s);
    c->suite_state = s;
    if (service_given.scope == NULL) {
        snprintf(why, why_size, "which ID scope do its devices name? Give --scope ID");
        return POSIX_EXIT_USAGE;
    }
    if (options_service_url(service_given.url, s->host, sizeof s->host, &s->port, why, why_size) != 0) {
        return POSIX_EXIT_USAGE;
    }
    int code = read_trust(s, why, why_size);
    if (code == 0) {
        code = read_policy(service_given.connection_string_file, &s->owner, why, why_size);
    }
    if (code == 0) {
        code = read_policy(service_given.reader_file, &s->reader, why, why_size);
    }
    return code != 0 ? code : connect_once(s, why, why_size);
}

/* ---- Around each case ---------------------------------------------------------------------------------- */

/* A signal ends the run, but not before what was made is deleted. */
static void after(struct conformance *c)
{
    struct service *s = service_of(c);
    const int interrupted = posix_interrupted;
    posix_interrupted = 0;
    s->obey_rate_off = false;
    service_link_close(&s->other, true);
    service_link_close(&s->hub, false);
    service_link_close(&s->road, true);
    s->other.versions_max = 0;
    s->other.static_rsa = false;
    service_clean(c);
    if (interrupted != 0) {
        posix_interrupted = interrupted;
    }
}

static void close_service(struct conformance *c)
{
    struct service *s = service_of(c);
    if (s != NULL) {
        service_link_close(&s->link, false);
        bytes_wipe(s, sizeof *s);
    }
}

static const struct conformance_case *const groups[] = {
    service_cases_tls,       service_cases_http,         service_cases_enrollment, service_cases_management,
    service_cases_request,   service_cases_ek,           service_cases_srk,        service_cases_srk_hardened,
    service_cases_challenge, service_cases_token,        service_cases_assignment, service_cases_hub,
    service_cases_amqp,      service_cases_amqp_clients, service_cases_mqtt,       NULL,
};

const struct conformance_suite conformance_service = {
    .name = "SVC",
    .title = "the service",
    .groups = groups,
    .options = {"Service (with a TPM in software)", options, COUNT(options)},
    .wanted = wanted,
    .open = open_service,
    .close = close_service,
    .after = after,
};
