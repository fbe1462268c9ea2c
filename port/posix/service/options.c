/* SPDX-License-Identifier: MIT */
/* The options of dps-service. */
#include "port/posix/service/options.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/state.h"
#include "port/posix/options.h"
#include "port/posix/service/files.h"
#include <string.h>

#define CONNECTIONS_MAX 100000
#define STOP_DELAY_MAX 3600
#define STOP_DELAY 5 /* seconds */
#define NOT_GIVEN UINT64_MAX

/* What is on the command line, as text and numbers. */
struct arguments {
    const char *listen, *proxy_listen, *hub_mqtt, *amqp, *cert, *key, *scope, *host, *allocation, *store,
        *policy_file, *secret_file;
    const char *port_file, *log;
    const char *timeouts_ms, *metrics;
    struct posix_option_list hubs, proxies;
    uint64_t connections, client_connections, workers, stop_delay, challenge_rate, client_rate, total_rate,
        management_rate, token_lifetime;
    bool websocket, require_hardened_srk, help, version;
};

static const char help_head[] =
    "usage: dps-service --listen ADDR:PORT --cert PEM --key PEM --scope ID --hub NAME ... --store STORE\n"
    "                   --policy-file FILE --secret-file FILE [option ...]\n"
    "\n"
    "A device provisioning service with TPM 2.0 attestation: device and management API, and a small hub.\n";

static const char help_tail[] =
    "\n"
    "Signals: SIGTERM and SIGINT finish the requests in flight and end, SIGTERM after --stop-delay; a second "
    "one\n"
    "does not wait. SIGHUP reads certificate, key, policies and secrets again; what is unusable "
    "stays\n"
    "as it was.\n"
    "Exit codes: 0 ok, 2 usage, 4 network or certificate, 5 store or another file.\n"
    "\n"
    "Example, with a certificate made for trying it out:\n"
    "  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \\\n"
    "      -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem\n"
    "  dps-service --listen 127.0.0.1:8443 --cert cert.pem --key key.pem --scope 0ne00000A0A \\\n"
    "      --hub hub-a.example --store sqlite:dps.db --policy-file policies.json --secret-file secret\n";

/* The tables point into it, which is why it is not inside main. */
static struct arguments given = {.connections = 1024,
                                 .client_connections = NOT_GIVEN,
                                 .workers = 1,
                                 .stop_delay = NOT_GIVEN,
                                 .challenge_rate = 30,
                                 .client_rate = 6000,
                                 .total_rate = 1000,
                                 .management_rate = 15000,
                                 .token_lifetime = 172800};

static const struct posix_option network[] = {
    {.name = "listen",
     .argument = "ADDR:PORT",
     .text = &given.listen,
     .help = "listen with TLS; port 0: any free port"},
    {.name = "cert",
     .argument = "PEM",
     .text = &given.cert,
     .help = "certificate chain, leaf first; PEM or DER"},
    {.name = "key",
     .argument = "PEM",
     .text = &given.key,
     .help = "its private key, RSA or EC, not encrypted"},
    {.name = "proxy-listen",
     .argument = "ADDR:PORT",
     .text = &given.proxy_listen,
     .help = "listen with plain HTTP, for a proxy that terminates TLS;\nwith --listen or instead of it"},
#if DPS_WITH_MQTT
    {.name = "hub-mqtt",
     .argument = "ADDR:PORT",
     .text = &given.hub_mqtt,
     .help = "the hub also takes telemetry, and delivers messages to devices, over\nMQTT 3.1.1, here, with "
             "TLS and the "
             "same certificate"},
#endif
    {.name = "proxy-protocol",
     .argument = "ADDRESS",
     .list = &given.proxies,
     .help = "connections with TLS from this address begin with the PROXY protocol,\nversion 2, which names "
             "the client; may be repeated"},
    {.name = "websocket",
     .flag = &given.websocket,
     .help = "AMQP and MQTT also come in WebSocket, at /$iothub/websocket of\n--listen and --proxy-listen"},
#if DPS_WITH_AMQP
    {.name = "amqp",
     .argument = "ADDR:PORT",
     .text = &given.amqp,
     .help = "devices may also provision over AMQP 1.0, here, with TLS and the same\ncertificate"},
#endif
    {.name = "connections",
     .argument = "N",
     .number = &given.connections,
     .maximum = CONNECTIONS_MAX,
     .help =
         "open connections; each takes up to 80 KiB, and 300 KiB while it carries\nthe largest requests "
         "and answers (default 1024). If there are\nmore, the one that keeps us waiting longest is closed"},
    {.name = "client-connections",
     .argument = "N",
     .number = &given.client_connections,
     .maximum = CONNECTIONS_MAX,
     .help = "of them for one client address, or one IPv6 /64, of --listen,\n--hub-mqtt and --amqp (default "
             "half of "
             "--connections; "
             "0: no "
             "limit)"},
    {.name = "workers",
     .argument = "N",
     .number = &given.workers,
     .maximum = SERVER_WORKERS_MAX,
     .help = "processes that serve, one for each core at most (default 1); the\nconnections are divided "
             "among them"},
    {.name = "metrics",
     .argument = "ADDR:PORT",
     .text = &given.metrics,
     .help = "listen with plain HTTP for GET /metrics (Prometheus), /healthz\nand /readyz. It has "
             "connections of its own"},
    {.name = "stop-delay",
     .argument = "SECONDS",
     .number = &given.stop_delay,
     .maximum = STOP_DELAY_MAX,
     .help = "from SIGTERM, when /readyz begins to say 503, until the\nlisteners close (default 5 with "
             "--metrics, "
             "else 0)"},
    {.name = "port-file",
     .argument = "FILE",
     .text = &given.port_file,
     .help = "write the port there when ready: one line for --listen,\nthen one for --proxy-listen, then one "
             "for --metrics,\nthen one for --hub-mqtt, then one for --amqp"},
};
static const struct posix_option service[] = {
    {.name = "scope",
     .argument = "ID",
     .text = &given.scope,
     .help = "the ID scope that devices have to name"},
    {.name = "host",
     .argument = "NAME",
     .text = &given.host,
     .help = "the name by which clients know the service; management tokens\nare made for it (default "
             "localhost)"},
    {.name = "hub",
     .argument = "NAME[=WEIGHT]",
     .list = &given.hubs,
     .help = "a hub that devices may be assigned to; may be repeated.\nWeight 1..1000 (default 1)"},
    {.name = "allocation",
     .argument = "hashed|static",
     .text = &given.allocation,
     .help =
         "for enrollments without a policy of their own: by hash\nand weight (default), or the first hub"},
    {.name = "challenge-rate",
     .argument = "N",
     .number = &given.challenge_rate,
     .maximum = 1000000,
     .help = "challenges a minute for one registration ID from one client\naddress, and ten times as many "
             "from all (default 30;\n0: no limit)"},
    {.name = "client-rate",
     .argument = "N",
     .number = &given.client_rate,
     .maximum = 1000000,
     .help = "challenges a minute for one client address, for IPv6\nits /64, and behind a proxy the "
             "last of X-Forwarded-For\n(default 6000; 0: client addresses are not counted)"},
    {.name = "total-rate",
     .argument = "N",
     .number = &given.total_rate,
     .maximum = 1000000,
     .help = "challenges a second in total (default 1000;\n0: no limit). The answers with the hub's "
             "key are counted\nlikewise, apart from these; requests to the hub too, twenty\nfor one; "
             "management requests by --management-rate"},
    {.name = "management-rate",
     .argument = "N",
     .number = &given.management_rate,
     .maximum = 1000000,
     .help = "management requests a minute for one client address\n(default 15000, which an import does not "
             "reach; 0: no limit)"},
    {.name = "token-lifetime",
     .argument = "SECONDS",
     .number = &given.token_lifetime,
     .maximum = UINT32_MAX,
     .help = "refuse tokens that expire more than this many seconds\nfrom now (default 172800, two days; 0: "
             "none)"},
    {.name = "require-hardened-srk",
     .flag = &given.require_hardened_srk,
     .help =
         "refuse the standard SRK (400016), whatever the enrollments say:\nTPM2_Rewrap takes the keys out "
         "of it, where a TPM has that command"},
};
static const struct posix_option files[] = {
    {.name = "store",
     .argument = "STORE",
     .text = &given.store,
     .help = "sqlite:FILE, or postgres:CONNINFO, which several services may share,\n"
             "such as \"postgres:host=db user=dps dbname=dps\" (its password in ~/.pgpass), or\n"
             "memory: (lost when the service ends)"},
    {.name = "policy-file",
     .argument = "FILE",
     .text = &given.policy_file,
     .help = "management policies with their keys; made if missing"},
    {.name = "secret-file",
     .argument = "FILE",
     .text = &given.secret_file,
     .help = "the service secret; made if missing. Keep a copy: device\nkeys are derived from it"},
    {.name = "log",
     .argument = "json|logfmt",
     .text = &given.log,
     .help = "form of the log on standard error (default logfmt); with json\nalso of the lines on standard "
             "output"},
    {.name = "help", .flag = &given.help, .help = "this text"},
    {.name = "version", .flag = &given.version, .help = "print the version"},
};
/* For tests, which cannot wait for a minute. */
static const struct posix_option hidden[] = {
    {.name = "timeouts-ms", .argument = "NAME=MS[,...]", .text = &given.timeouts_ms, .help = ""},
};

/* The last group is not for --help. */
static const struct posix_option_group groups[] = {
    {"Network", network, sizeof network / sizeof network[0]},
    {"Service", service, sizeof service / sizeof service[0]},
    {"Files and output", files, sizeof files / sizeof files[0]},
    {"", hidden, sizeof hidden / sizeof hidden[0]},
};

#define GROUPS (sizeof groups / sizeof groups[0])

void server_options_help(void)
{
    fputs(help_head, stdout);
    options_help(stdout, groups, GROUPS - 1);
    fputs(help_tail, stdout);
}

static int read_options(int argc, char *const *argv, char *why, size_t why_size)
{
    int at = 1;
    int error = options_parse(groups, GROUPS, argc, argv, &at, why, why_size);
    if (error == 0 && at < argc) {
        snprintf(why, why_size, "%s: nothing is named here but options", argv[at]);
        error = BYTES_E_USAGE;
    }
    return error;
}

/* One of two words; null is the first. Returns: its number, or -1. */
static int choice(const char *option, const char *word, const char *const words[2], char *why,
                  size_t why_size)
{
    for (int i = 0; i < 2; i++) {
        if (word == NULL || strcmp(word, words[i]) == 0) {
            return i;
        }
    }
    snprintf(why, why_size, "--%s is %s or %s, not \"%s\"", option, words[0], words[1], word);
    return -1;
}

static int timeouts_parse(const char *text, struct server_timeouts *t, char *why, size_t why_size)
{
    const struct {
        const char *name;
        uint32_t *ms;
    } known[] = {{"handshake", &t->handshake}, {"head", &t->head},   {"body", &t->body},
                 {"stall", &t->stall},         {"idle", &t->idle},   {"write", &t->write},
                 {"linger", &t->linger},       {"drain", &t->drain}, {"stop", &t->stop}};
    struct bytes rest = bytes_of_text(text);
    while (rest.len > 0) {
        struct bytes part, name;
        uint64_t ms = 0;
        bool found = false;
        rest = dps_split(rest, ',', &part);
        struct bytes value = dps_split(part, '=', &name);
        for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++) {
            found = bytes_equal_public(name, bytes_of_text(known[i].name)) &&
                    dps_decimal_parse(value, 3600000, &ms) == 0;
            if (found) {
                *known[i].ms = (uint32_t)ms;
            }
        }
        if (!found) {
            snprintf(why, why_size, "--timeouts-ms: \"%.*s\" is not a time-out", (int)part.len,
                     (const char *)part.p);
            return BYTES_E_USAGE;
        }
    }
    return 0;
}

static int check_required(const struct arguments *a, char *why, size_t why_size)
{
    const struct {
        const char *name, *value;
    } required[] = {{"scope", a->scope},
                    {"store", a->store},
                    {"policy-file", a->policy_file},
                    {"secret-file", a->secret_file},
                    {"hub", a->hubs.count > 0 ? a->hubs.values[0] : NULL}};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (required[i].value == NULL) {
            snprintf(why, why_size, "--%s is missing; --help has an example", required[i].name);
            return BYTES_E_USAGE;
        }
    }
    const bool tls = a->listen != NULL || a->hub_mqtt != NULL || a->amqp != NULL;
    if (a->listen == NULL && a->proxy_listen == NULL) {
        snprintf(why, why_size, "nothing to listen on: give --listen, --proxy-listen or both");
    } else if (tls != (a->cert != NULL) || tls != (a->key != NULL)) {
        snprintf(why, why_size, "--listen, --hub-mqtt or --amqp, --cert and --key belong together");
    } else if (a->connections == 0) {
        snprintf(why, why_size, "--connections must be at least 1");
    } else if (a->workers == 0) {
        snprintf(why, why_size, "--workers must be at least 1");
    } else if (a->workers > 1 && server_store_is_of_one_process(a->store)) {
        snprintf(why, why_size, "--store %s belongs to one process; give --workers 1 or another store",
                 a->store);
    } else {
        return 0;
    }
    return BYTES_E_USAGE;
}

static int configure_service(const struct arguments *a, struct dps_service_config *c, char *why,
                             size_t why_size)
{
    static const char *const allocations[2] = {"hashed", "static"};
    const char *host = a->host != NULL ? a->host : "localhost";
    if (!dps_host_valid(bytes_of_text(host))) {
        snprintf(why, why_size, "--host %s: this is not a host name", host);
        return BYTES_E_USAGE;
    }
    size_t scope_len = strlen(a->scope);
    if (scope_len > DPS_ID_SCOPE_MAX || !dps_registration_id_valid(bytes_of_text(a->scope))) {
        snprintf(why, why_size, "--scope is up to %d letters and digits", DPS_ID_SCOPE_MAX);
        return BYTES_E_USAGE;
    }
    snprintf(c->host, sizeof c->host, "%s", host);
    snprintf(c->id_scope, sizeof c->id_scope, "%s", a->scope);
    c->challenges_per_minute = (uint32_t)a->challenge_rate;
    c->challenges_per_second = (uint32_t)a->total_rate;
    c->challenges_per_client = (uint32_t)a->client_rate;
    c->management_per_client = a->client_rate == 0 ? 0 : (uint32_t)a->management_rate;
    c->token_lifetime_max = (uint32_t)a->token_lifetime;
    c->hardened_srk = a->require_hardened_srk;
    int allocation = choice("allocation", a->allocation, allocations, why, why_size);
    if (allocation < 0) {
        return BYTES_E_USAGE;
    }
    c->allocation = allocation == 0 ? DPS_DEFAULT_HASHED : DPS_DEFAULT_STATIC;
    int error = 0;
    for (size_t i = 0; i < a->hubs.count && error == 0; i++) {
        error = server_hub_add(c, a->hubs.values[i], why, why_size);
    }
    return error;
}

/* As addresses of peers are written, with which they are compared. */
static int check_proxies(const struct posix_option_list *proxies, char *why, size_t why_size)
{
    for (size_t i = 0; i < proxies->count; i++) {
        char address[SERVER_PEER_MAX];
        if (!server_address_read(bytes_of_text(proxies->values[i]), address) ||
            strcmp(address, proxies->values[i]) != 0) {
            snprintf(why, why_size, "--proxy-protocol %s: this is not an address as the log writes it",
                     proxies->values[i]);
            return BYTES_E_USAGE;
        }
    }
    return 0;
}

static const char *const log_forms[2] = {"logfmt", "json"};

static int configure(const struct arguments *a, struct server_config *c, char *why, size_t why_size)
{
    int error = check_required(a, why, why_size);
    if (error != 0) {
        return error;
    }
    *c = (struct server_config){.listen = a->listen,
                                .proxy_listen = a->proxy_listen,
                                .metrics = a->metrics,
                                .hub_mqtt = a->hub_mqtt,
                                .websocket = a->websocket,
                                .proxies = a->proxies,
                                .amqp = a->amqp,
                                .store = a->store,
                                .certificate = a->cert,
                                .key = a->key,
                                .policy_file = a->policy_file,
                                .secret_file = a->secret_file,
                                .connections = (size_t)((a->connections + a->workers - 1) / a->workers),
                                .timeouts = server_timeouts_default};
    int form = choice("log", a->log, log_forms, why, why_size);
    if (form < 0) {
        return BYTES_E_USAGE;
    }
    c->log_json = form == 1;
    c->client_connections = a->client_connections == NOT_GIVEN
                                ? (c->connections + 1) / 2
                                : (size_t)((a->client_connections + a->workers - 1) / a->workers);
    c->timeouts.stop = a->stop_delay != NOT_GIVEN ? (uint32_t)a->stop_delay * 1000
                       : a->metrics != NULL       ? STOP_DELAY * 1000
                                                  : 0;
    if (a->timeouts_ms != NULL) {
        error = timeouts_parse(a->timeouts_ms, &c->timeouts, why, why_size);
    }
    error = error == 0 ? check_proxies(&a->proxies, why, why_size) : error;
    return error == 0 ? configure_service(a, &c->service, why, why_size) : error;
}

int server_options_read(int argc, char *const *argv, struct server_options *o, char *why, size_t why_size)
{
    int error = read_options(argc, argv, why, why_size);
    *o = (struct server_options){.help = given.help,
                                 .version = given.version,
                                 .log_json = given.log != NULL && strcmp(given.log, log_forms[1]) == 0,
                                 .workers = (size_t)given.workers,
                                 .port_file = given.port_file};
    if (error == 0 && !given.help && !given.version) {
        error = configure(&given, &o->config, why, why_size);
    }
    return error;
}
