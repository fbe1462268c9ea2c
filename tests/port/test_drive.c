/* SPDX-License-Identifier: MIT */
/* port_drive, and the loop of port/example beside it, against a service that tries to stall them: a TLS server in
 * memory that answers without end, or not at all, and a clock that moves only when something is waited for or read. The
 * TPM is a real one (libtpms in this process). */
#include "crypto/tls_identity.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "port/drive.h"
#include "port/example/turn.h"
#include "port/posix/posix.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include "tests/vectors/tls_pem.h"
#include <stdio.h>
#include <string.h>
#if CRYPTO_TLS_OPENSSL
#include <openssl/ssl.h>
#endif

#define NOW UINT64_C(1800000000) /* within the validity of the test certificates */

enum behaviour {
    UNREACHABLE,   /* packets are dropped */
    WARNINGS,      /* a TLS warning alert instead of a ServerHello, every 5 s, for ever */
    SILENT,        /* accepts a request and says nothing */
    DRIPS,         /* a byte of a head that does not end, every 5 s */
    INTERIM,       /* 100 Continue for ever */
    EMPTY_RECORDS, /* records of no bytes, as fast as they go */
    UNREAD,        /* does not read the request */
    BUSY,          /* 429, Retry-After: 300 */
    BUSY_FLOODS,   /* the same, with empty records between the answer and the next request */
    TOLD           /* 404, at once */
};

static struct {
    enum behaviour how;
    uint64_t now, asleep, most; /* clock; time slept; the longest time that a stream function was given */
    bool asked, answered;
    unsigned warned; /* bytes of warnings */
    struct crypto_tls_server tls;
    struct crypto_identity identity;
    uint8_t io[CRYPTO_TLS_BUFFER_BIDI];
} peer;

static struct posix_tpm tpm;
static struct port_tpm real_tpm;
static unsigned tpm_silent_from, tpm_commands; /* the command from which on it is silent; 0: never */
static struct crypto_drbg drbg;
static struct crypto_trust trust;
static struct port_drive drive;
static struct example_turn turn;
static bool with_turns; /* instead of port_drive */
static struct dps_device d;

/* ---- The TPM, the clock ------------------------------------------------------------------------------------------ */

static int tpm_transact(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                        uint32_t timeout_ms)
{
    (void)context;
    if (tpm_silent_from != 0 && ++tpm_commands >= tpm_silent_from) {
        peer.now += timeout_ms;
        *len = 0;
        return BYTES_E_TIMEOUT;
    }
    return real_tpm.transact(real_tpm.context, command, response, capacity, len, timeout_ms);
}

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return NOW;
}

static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return peer.now;
}

static int sleep_ms(void *context, uint32_t ms)
{
    (void)context;
    peer.now += ms;
    peer.asleep += ms;
    return 0;
}

/* ---- The peer ---------------------------------------------------------------------------------------------------- */

static crypto_tls_engine *server(void)
{
    return crypto_tls_server_engine(&peer.tls);
}

static void say(const char *text)
{
    size_t room;
    uint8_t *out = crypto_tls_app_out(server(), &room);
    if (out != NULL && strlen(text) <= room) {
        memcpy(out, text, strlen(text));
        crypto_tls_app_sent(server(), strlen(text));
        crypto_tls_flush(server());
    }
}

/* A record without content. libssl makes none, but a message of TLS 1.3 that is no more use. */
static void say_nothing(void)
{
#if !CRYPTO_TLS_OPENSSL
    br_ssl_engine_flush(server(), 1);
#else
    (void)SSL_key_update(server()->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    (void)SSL_do_handshake(server()->ssl);
#endif
}

/* What it sends when it has nothing more to say: the clock moves with everything that it sends. */
static void go_on(uint32_t timeout_ms)
{
    switch (peer.how) {
    case DRIPS:
        peer.now += 5000;
        say(peer.answered ? "a" : "HTTP/1.1 401 Unauthorized\r\nA: ");
        break;
    case INTERIM:
        peer.now += 10;
        say("HTTP/1.1 100 Continue\r\n\r\n");
        break;
    case EMPTY_RECORDS:
        peer.now += 10;
        say_nothing();
        break;
    case BUSY_FLOODS:
        if (peer.answered) {
            peer.now += 10;
            say_nothing();
            break;
        }
        /* fall through */
    case BUSY:
        say(peer.answered ? "" : "HTTP/1.1 429 X\r\nRetry-After: 300\r\nContent-Length: 0\r\n\r\n");
        break;
    case TOLD:
        say(peer.answered ? "" : "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n");
        break;
    default:
        peer.now += timeout_ms;
        break;
    }
    peer.answered = true;
}

static void note(uint32_t timeout_ms)
{
    peer.most = timeout_ms > peer.most ? timeout_ms : peer.most;
}

static int stream_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    static const uint8_t entropy[32] = "the server's entropy for a test";
    (void)context, (void)host, (void)port;
    note(timeout_ms);
    peer.asked = peer.answered = false;
    peer.warned = 0;
    if (peer.how == UNREACHABLE) {
        peer.now += timeout_ms;
        return BYTES_E_TIMEOUT;
    }
    return crypto_tls_server_start(&peer.tls, &peer.identity, NULL, entropy, peer.io, sizeof peer.io);
}

static int stream_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    size_t room;
    (void)context;
    note(timeout_ms);
    if (peer.how == UNREAD && (crypto_tls_want(server()) & CRYPTO_TLS_APP_OUT) != 0) {
        peer.now += timeout_ms;
        return 0;
    }
    uint8_t *in = crypto_tls_record_in(server(), &room);
    if (in == NULL) {
        return BYTES_E_STREAM;
    }
    len = len < room ? len : room;
    memcpy(in, bytes, len);
    crypto_tls_record_received(server(), len);
    if (crypto_tls_app_in(server(), &room) != NULL) {
        crypto_tls_app_received(server(), room); /* a request, or a part of one */
        peer.asked = true;
        peer.answered = false;
    }
    return (int)len;
}

static int stream_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    static const uint8_t warning[] = {21, 3, 3, 0, 2, 1, 90};
    size_t len;
    (void)context;
    note(timeout_ms);
    if (peer.how == WARNINGS) {
        peer.now += peer.warned++ % sizeof warning == 0 ? 5000 : 0;
        *out = warning[(peer.warned - 1) % sizeof warning];
        return 1;
    }
    const uint8_t *from = crypto_tls_record_out(server(), &len);
    if (from == NULL && peer.asked) {
        go_on(timeout_ms);
        from = crypto_tls_record_out(server(), &len);
    }
    if (from == NULL) {
        return 0;
    }
    len = len < capacity ? len : capacity;
    memcpy(out, from, len);
    crypto_tls_record_sent(server(), len);
    return (int)len;
}

static void stream_close(void *context)
{
    (void)context;
}

static int storage_save(void *context, struct bytes record)
{
    (void)context, (void)record;
    return 0;
}

/* ---- The cases --------------------------------------------------------------------------------------------------- */

static const struct dps_device_config config = {
    .service_host = "dps.example", .service_port = 443, .hub_port = 443, .id_scope = "0ne00000A0A"};

/* What a loop does between two turns: it waits, for as long as it may, unless something has arrived. */
static int run_turns(struct port *port)
{
    turn = (struct example_turn){.port = port, .trust = &trust, .device = &d};
    for (enum example_next next = EXAMPLE_WORK; next != EXAMPLE_ENDED;) {
        next = example_turn(&turn);
        if (next == EXAMPLE_WORK) {
            example_work(&turn);
        } else if (next == EXAMPLE_LATER) {
            (void)sleep_ms(NULL, turn.wait_ms);
        } else if (next != EXAMPLE_ENDED && (peer.how == SILENT || peer.how == UNREAD)) {
            peer.now += turn.wait_ms;
        }
    }
    return d.error;
}

static int run(enum behaviour how)
{
    static const uint8_t nonce[32] = {1};
    struct port port = {
        .tpm = {.transact = tpm_transact},
        .stream = {.connect = stream_connect,
                   .read = stream_read,
                   .write = stream_write,
                   .close = stream_close},
        .clock = {.unix_seconds = unix_seconds, .monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms},
        .storage = {.save = storage_save},
        .entropy = posix_entropy_seeded(&drbg, "drive"),
    };
    peer.how = how;
    peer.now = peer.asleep = peer.most = 0;
    tpm_commands = 0;
    const int begun = dps_device_register(&d, &config, nonce);
    if (begun != 0) {
        return begun;
    }
    return with_turns ? run_turns(&port) : port_drive(&drive, &port, &trust, &d);
}

/* Everything that a hostile service does within one connection or request ends with that one's time. */
static int each_part_ends(void)
{
    static const enum behaviour all[] = {UNREACHABLE, WARNINGS, SILENT, DRIPS, EMPTY_RECORDS, UNREAD};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (CRYPTO_TLS_OPENSSL && all[i] == WARNINGS) { /* libssl takes five */
            CHECK(run(all[i]) == BYTES_E_TLS && peer.now < PORT_NET_TIMEOUT_MS);
            continue;
        }
        CHECK_EQUAL(run(all[i]), BYTES_E_TIMEOUT);
        CHECK(dps_device_step(&d) == 4 && dps_device_asks_network(&d) && !d.late);
        CHECK(peer.now >= PORT_NET_TIMEOUT_MS && peer.now < PORT_NET_TIMEOUT_MS + 5010);
        CHECK(peer.most <= PORT_NET_TIMEOUT_MS);
    }
    return 0;
}

static int interim_answers_are_counted(void)
{
    CHECK_EQUAL(run(INTERIM), BYTES_E_LIMIT);
    CHECK(d.http.interim == DPS_HTTP_INTERIM_MAX && dps_device_asks_network(&d));
    CHECK(peer.now < 1000);
    return 0;
}

/* Three waits of 300 s and more do not fit into 900 s: it gives up instead of waiting in vain. */
static int the_flow_ends(void)
{
    CHECK(run(BUSY) == BYTES_E_TIMEOUT && d.late);
    CHECK(peer.asleep > 0 && peer.now < PORT_FLOW_TIMEOUT_MS);
    CHECK(d.http_requests >= 2 && d.http_status == 429);
    drive.flow_timeout_ms = 1000;
    CHECK(run(BUSY) == BYTES_E_TIMEOUT && d.late && peer.asleep == 0 && d.http_requests == 1);
    CHECK(run(SILENT) == BYTES_E_TIMEOUT && d.late && peer.now == 1000);
    CHECK(run(TOLD) == BYTES_E_HTTP && d.http_status == 404);
    drive.flow_timeout_ms = 0;
    CHECK(run(BUSY_FLOODS) == BYTES_E_TIMEOUT && peer.now <= PORT_FLOW_TIMEOUT_MS + 10);
    return 0;
}

static int so_does_it_without_port_drive(void)
{
    with_turns = true;
    CHECK_EQUAL(each_part_ends(), 0);
    CHECK_EQUAL(interim_answers_are_counted(), 0);
    CHECK(run(BUSY) == BYTES_E_TIMEOUT && d.late && peer.asleep > 0 && peer.now < PORT_FLOW_TIMEOUT_MS);
    CHECK(run(BUSY_FLOODS) == BYTES_E_TIMEOUT && peer.now <= PORT_FLOW_TIMEOUT_MS + 10);
    CHECK_EQUAL(run(TOLD), BYTES_E_HTTP);
    with_turns = false;
    return 0;
}

static int a_silent_tpm_ends(void)
{
    for (tpm_silent_from = 1; tpm_silent_from <= 4; tpm_silent_from++) {
        CHECK(run(SILENT) == BYTES_E_TIMEOUT && !dps_device_asks_network(&d) && !d.late);
        CHECK_EQUAL(peer.now, PORT_TPM_TIMEOUT_MS); /* and nothing is asked of it any more */
    }
    tpm_silent_from = 0;
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"connections and requests that would never end", each_part_ends},
        {"interim answers without end", interim_answers_are_counted},
        {"a flow that would never end", the_flow_ends},
        {"all of this in an event loop", so_does_it_without_port_drive},
        {"a TPM that does not answer", a_silent_tpm_ends},
    };
    char why[256];
    char name[300];
    snprintf(name, sizeof name, "libtpms:%s", support_path("drive"));
    if (posix_tpm_open(&tpm, name, why, sizeof why) != 0 ||
        crypto_trust_load(&trust, bytes_of_text(vector_tls_ca)) != 0 ||
        crypto_identity_load(&peer.identity, bytes_of_text(vector_tls_ec_leaf),
                             bytes_of_text(vector_tls_ec_key_sec1)) != 0) {
        return 1;
    }
    real_tpm = posix_tpm_port(&tpm);
    const int status = test_run(tests, sizeof tests / sizeof tests[0]);
    posix_tpm_close(&tpm);
    return status;
}
