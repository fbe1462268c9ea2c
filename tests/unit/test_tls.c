/* SPDX-License-Identifier: MIT */
/* TLS without a network: a client and a server engine joined by copying bytes, in pieces of any size, with every kind
 * of damage on the way. Certificates: tests/vectors/tls_pem.c. */
#include "crypto/tls.h"
#include "crypto/tls_identity.h"
#include "crypto/tls_pem.h"
#include "tests/unit/test.h"
#include "tests/vectors/tls_pem.h"
#include <string.h>

/* 15 January 2027, within the validity of all test certificates, and 1 January 2127, after it. */
#define NOW 1800000000u
#define NOW_AFTER 4954435200u
#define WHOLE SIZE_MAX

/* Too large for a stack; the engines point into it, so it must not move either. */
static struct crypto_trust trust;
static struct crypto_identity ec_identity, rsa_identity;
static struct crypto_tls_client client;
static struct crypto_tls_server server;
static struct crypto_tls_cache cache;
static uint8_t client_io[CRYPTO_TLS_BUFFER_BIDI], server_io[CRYPTO_TLS_BUFFER_BIDI], cache_storage[1000];

static struct bytes text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static crypto_tls_engine *client_engine(void)
{
    return crypto_tls_client_engine(&client);
}

static crypto_tls_engine *server_engine(void)
{
    return crypto_tls_server_engine(&server);
}

/* Counts the server's connections, so that each has its own entropy and its own session ID. */
static uint8_t server_count;

/* Instead of what was there. */
static int load_identity(struct crypto_identity *identity, struct bytes chain, struct bytes key)
{
    crypto_identity_wipe(identity);
    return crypto_identity_load(identity, chain, key);
}

static int load(void)
{
    server_count = 0;
    CHECK_EQUAL(crypto_trust_load(&trust, text(vector_tls_ca)), 0);
    CHECK_EQUAL(load_identity(&ec_identity, text(vector_tls_ec_leaf), text(vector_tls_ec_key_sec1)), 0);
    CHECK_EQUAL(load_identity(&rsa_identity, text(vector_tls_rsa_leaf), text(vector_tls_rsa_key_pkcs1)), 0);
    crypto_tls_cache_init(&cache, cache_storage, sizeof cache_storage, NULL);
    return 0;
}

static int start_client(const char *host, uint64_t now, bool resume)
{
    static const uint8_t entropy[32] = "the client's entropy for a test";
    return crypto_tls_client_start(&client, &trust, host, now, entropy, client_io, sizeof client_io, resume);
}

static int start_server(const struct crypto_identity *identity)
{
    static uint8_t entropy[32] = "the server's entropy for a test";
    entropy[31] = server_count++;
    crypto_tls_server_wipe(&server);
    return crypto_tls_server_start(&server, identity, &cache, entropy, server_io, sizeof server_io);
}

static int start(const char *host)
{
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(start_client(host, NOW, false), 0);
    CHECK_EQUAL(start_server(&ec_identity), 0);
    return 0;
}

/* Move records from one engine to the other, at most limit bytes. Returns how many. */
static size_t carry(crypto_tls_engine *from, crypto_tls_engine *to, size_t limit)
{
    size_t have = 0, room = 0;
    const uint8_t *out = crypto_tls_record_out(from, &have);
    uint8_t *in = crypto_tls_record_in(to, &room);
    if (out == NULL || in == NULL) {
        return 0;
    }
    size_t len = have < room ? have : room;
    if (len > limit) {
        len = limit;
    }
    memcpy(in, out, len);
    crypto_tls_record_sent(from, len);
    crypto_tls_record_received(to, len);
    return len;
}

/* Carry both ways in pieces until nothing moves. */
static void pump(size_t piece)
{
    while (carry(client_engine(), server_engine(), piece) + carry(server_engine(), client_engine(), piece) >
           0) {
        ;
    }
}

static bool is_open(const crypto_tls_engine *e)
{
    return (crypto_tls_want(e) & CRYPTO_TLS_APP_OUT) != 0;
}

static bool is_closed(const crypto_tls_engine *e)
{
    return crypto_tls_want(e) == CRYPTO_TLS_CLOSED;
}

/* Give len application bytes to an engine, as far as they fit into one record. */
static size_t put(crypto_tls_engine *e, const uint8_t *p, size_t len)
{
    size_t room;
    uint8_t *out = crypto_tls_app_out(e, &room);
    if (out == NULL) {
        return 0;
    }
    if (len > room) {
        len = room;
    }
    memcpy(out, p, len);
    crypto_tls_app_sent(e, len);
    crypto_tls_flush(e);
    return len;
}

/* Take the application bytes that have arrived. */
static size_t get(crypto_tls_engine *e, uint8_t *p, size_t capacity)
{
    size_t len;
    const uint8_t *in = crypto_tls_app_in(e, &len);
    if (in == NULL) {
        return 0;
    }
    if (len > capacity) {
        len = capacity;
    }
    memcpy(p, in, len);
    crypto_tls_app_received(e, len);
    return len;
}

/* Send total bytes from one engine to the other and compare what arrives. */
static int transfer(crypto_tls_engine *from, crypto_tls_engine *to, size_t total, size_t piece)
{
    size_t sent = 0, received = 0;
    while (received < total) {
        uint8_t data[1500];
        size_t len = total - sent < sizeof data ? total - sent : sizeof data;
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)((sent + i) * 7);
        }
        sent += put(from, data, len);
        pump(piece);
        len = get(to, data, sizeof data);
        CHECK(len > 0);
        for (size_t i = 0; i < len; i++) {
            CHECK_EQUAL(data[i], (uint8_t)((received + i) * 7));
        }
        received += len;
    }
    return 0;
}

/* Close from the client's side; both must end cleanly. */
static int close_both(size_t piece)
{
    crypto_tls_close(client_engine());
    pump(piece);
    CHECK(is_closed(client_engine()) && crypto_tls_error(client_engine()) == 0);
    CHECK(is_closed(server_engine()) && crypto_tls_error(server_engine()) == 0);
    return 0;
}

static int session(const struct crypto_identity *identity, const char *host, bool resume, size_t piece)
{
    CHECK_EQUAL(start_client(host, NOW, resume), 0);
    CHECK_EQUAL(start_server(identity), 0);
    pump(piece);
    CHECK(is_open(client_engine()) && is_open(server_engine()));
    CHECK_EQUAL(transfer(client_engine(), server_engine(), 3000, piece), 0);
    CHECK_EQUAL(transfer(server_engine(), client_engine(), 3000, piece), 0);
    return close_both(piece);
}

static int test_session(void)
{
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(session(&ec_identity, "dps.example", false, WHOLE), 0);
    CHECK(!crypto_tls_client_resumed(&client));
    CHECK_EQUAL(session(&rsa_identity, "rsa.example", false, WHOLE), 0);
    CHECK_EQUAL(session(&ec_identity, "DPS.Example", false, WHOLE), 0);
    CHECK_EQUAL(session(&ec_identity, "any.fleet.example", false, WHOLE), 0);
    CHECK_EQUAL(session(&ec_identity, "192.0.2.7", false, WHOLE), 0);
    return 0;
}

/* Many records, both ways at once, through full windows. */
static int test_long_data(void)
{
    CHECK_EQUAL(start("dps.example"), 0);
    pump(WHOLE);
    CHECK_EQUAL(transfer(client_engine(), server_engine(), 100000, WHOLE), 0);
    CHECK_EQUAL(transfer(server_engine(), client_engine(), 100000, WHOLE), 0);
    return close_both(WHOLE);
}

static int test_every_piece(void)
{
    CHECK_EQUAL(load(), 0);
    for (size_t piece = 1; piece <= 100; piece++) {
        CHECK(session(piece % 2 == 1 ? &ec_identity : &rsa_identity,
                      piece % 2 == 1 ? "dps.example" : "rsa.example", false, piece) == 0);
    }
    return 0;
}

/* Half duplex: the smaller buffer. */
static int test_small_buffer(void)
{
    static const uint8_t entropy[32] = {1};
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(crypto_tls_client_start(&client, &trust, "dps.example", NOW, entropy, client_io,
                                        CRYPTO_TLS_BUFFER_MONO, false),
                0);
    crypto_tls_server_wipe(&server);
    CHECK_EQUAL(
        crypto_tls_server_start(&server, &ec_identity, NULL, entropy, server_io, CRYPTO_TLS_BUFFER_MONO), 0);
    pump(WHOLE);
    CHECK_EQUAL(transfer(client_engine(), server_engine(), 40000, WHOLE), 0);
    CHECK_EQUAL(transfer(server_engine(), client_engine(), 40000, WHOLE), 0);
    return close_both(WHOLE);
}

static int test_usage(void)
{
    static const uint8_t entropy[32] = {1};
    char host[300];
    CHECK_EQUAL(load(), 0);
    memset(host, 'a', sizeof host);
    host[253] = '\0';
    CHECK_EQUAL(start_client(host, NOW, false), 0);
    host[253] = 'a';
    host[254] = '\0';
    CHECK_EQUAL(start_client(host, NOW, false), BYTES_E_USAGE);
    CHECK_EQUAL(start_client("", NOW, false), BYTES_E_USAGE);
    CHECK_EQUAL(start_client("dps.example", UINT64_MAX, false), BYTES_E_USAGE);
    CHECK_EQUAL(crypto_tls_client_start(&client, &trust, "dps.example", NOW, entropy, client_io,
                                        CRYPTO_TLS_BUFFER_MONO - 1, false),
                BYTES_E_USAGE);
    CHECK_EQUAL(
        crypto_tls_server_start(&server, &ec_identity, NULL, entropy, server_io, CRYPTO_TLS_BUFFER_MONO - 1),
        BYTES_E_USAGE);
    return 0;
}

static int test_resumption(void)
{
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(session(&ec_identity, "dps.example", false, WHOLE), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(session(&ec_identity, "dps.example", true, WHOLE), 0);
        CHECK(crypto_tls_client_resumed(&client));
    }
    /* The server has forgotten the session: a full handshake, and the next one resumes again. */
    crypto_tls_cache_init(&cache, cache_storage, sizeof cache_storage, NULL);
    CHECK_EQUAL(session(&ec_identity, "dps.example", true, WHOLE), 0);
    CHECK(!crypto_tls_client_resumed(&client));
    CHECK_EQUAL(session(&ec_identity, "dps.example", true, 1), 0);
    CHECK(crypto_tls_client_resumed(&client));
    CHECK_EQUAL(session(&ec_identity, "dps.example", false, WHOLE), 0);
    CHECK(!crypto_tls_client_resumed(&client));
    /* Wiped is wiped. */
    crypto_tls_client_wipe(&client);
    CHECK_EQUAL(session(&ec_identity, "dps.example", true, WHOLE), 0);
    CHECK(!crypto_tls_client_resumed(&client));
    return 0;
}

/* Whether the ClientHello that waits to be sent offers a session: by its ID, after record header 5, handshake header 4,
 * version 2, random 32 [RFC 5246 7.4.1.2]; in TLS 1.3, where that ID means nothing, by the extension "pre_shared_key",
 * which is the last one and has binders of 32 or 48 bytes at its end [RFC 8446 4.2.11]. */
static bool offers_session(void)
{
    size_t len;
    const uint8_t *hello = crypto_tls_record_out(client_engine(), &len);
    if (hello == NULL || len <= 43) {
        return false;
    }
    if (!CRYPTO_TLS_OPENSSL) {
        return hello[43] > 0;
    }
    for (size_t binder = 32; binder <= 48; binder += 16) {
        const uint8_t end[] = {0, (uint8_t)(binder + 1), (uint8_t)binder};
        if (len > binder + 46 && memcmp(hello + len - binder - sizeof end, end, sizeof end) == 0) {
            return true;
        }
    }
    return false;
}

/* A session is offered to nobody but the verified host that it was made with. */
static int test_resumption_refused(void)
{
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(session(&ec_identity, "dps.example", false, WHOLE), 0);
    CHECK_EQUAL(start_client("any.fleet.example", NOW, true), 0);
    CHECK(!offers_session());

    /* An impostor's session, whose certificate is not for this host. */
    CHECK_EQUAL(start_client("other.example", NOW, false), 0);
    CHECK_EQUAL(start_server(&ec_identity), 0);
    pump(WHOLE);
    CHECK(is_closed(client_engine()));
    CHECK_EQUAL(start_client("other.example", NOW, true), 0);
    CHECK(!offers_session());

    /* The same, cut off at any point of the handshake, before or after the certificate. */
    for (size_t piece = 1; piece < 1200; piece += 13) {
        CHECK_EQUAL(start_client("other.example", NOW, false), 0);
        CHECK_EQUAL(start_server(&ec_identity), 0);
        while (carry(client_engine(), server_engine(), WHOLE) > 0) {
            ;
        }
        for (size_t moved = 0, step = 1; moved < piece && step > 0; moved += step) {
            step = carry(server_engine(), client_engine(), piece - moved);
        }
        CHECK_EQUAL(start_client("other.example", NOW, true), 0);
        CHECK(!offers_session());
    }

    /* A connection that ended with an error [RFC 5246 7.2.2]. */
    CHECK_EQUAL(session(&ec_identity, "dps.example", false, WHOLE), 0);
    CHECK_EQUAL(start_client("dps.example", NOW, true), 0);
    CHECK(offers_session());
    CHECK_EQUAL(start_server(&ec_identity), 0);
    pump(WHOLE);
    static const uint8_t junk[] = {23, 3,  3,  0,  32, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                                   15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
    size_t at = 0, room;
    for (uint8_t *in; at < sizeof junk && (in = crypto_tls_record_in(client_engine(), &room)) != NULL;) {
        size_t len = sizeof junk - at < room ? sizeof junk - at : room;
        memcpy(in, junk + at, len);
        crypto_tls_record_received(client_engine(), len);
        at += len;
    }
    CHECK_EQUAL(crypto_tls_error(client_engine()), BR_ERR_BAD_MAC);
    CHECK_EQUAL(start_client("dps.example", NOW, true), 0);
    CHECK(!offers_session());
    return 0;
}

/* Run a handshake that the client must refuse. Returns its error. */
static int refusal(const struct crypto_identity *identity, const char *host, uint64_t now)
{
    if (start_client(host, now, false) != 0 || start_server(identity) != 0) {
        return -1;
    }
    pump(WHOLE);
    if (is_open(client_engine()) || is_open(server_engine()) || !is_closed(client_engine())) {
        return -1;
    }
    return crypto_tls_error(client_engine());
}

static int test_wrong_host(void)
{
    static const char *const hosts[] = {
        "dps.example.",
        "example",
        "dps.exampl",
        "dps.examples",
        "xdps.example",
        "other.example",
        "fleet.example",
        ".dps.example",
        "a.b.fleet.example",
        "192.0.2.8",
        "*",
        "*.example",
        "tpm-dps",
        "any.fleet.exa",
        "any.fleet.example.x",
        "localhost",
    };
    CHECK_EQUAL(load(), 0);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        CHECK_EQUAL(refusal(&ec_identity, hosts[i], NOW), BR_ERR_X509_BAD_SERVER_NAME);
    }
    /* An address as iPAddress is not read; tls.h says so. */
    CHECK_EQUAL(refusal(&rsa_identity, "192.0.2.7", NOW), BR_ERR_X509_BAD_SERVER_NAME);
    return 0;
}

static int test_not_trusted(void)
{
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(crypto_trust_load(&trust, text(vector_tls_other_ca)), 0);
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", NOW), BR_ERR_X509_NOT_TRUSTED);
    CHECK_EQUAL(refusal(&rsa_identity, "rsa.example", NOW), BR_ERR_X509_NOT_TRUSTED);
    /* If trust anchors fail to load, nobody is trusted. */
    CHECK_EQUAL(crypto_trust_load(&trust, text("nonsense")), BYTES_E_FORMAT);
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", NOW), BR_ERR_X509_NOT_TRUSTED);
    /* The leaf itself as an anchor is trusted directly, and only it. */
    CHECK_EQUAL(crypto_trust_load(&trust, text(vector_tls_ec_leaf)), 0);
    CHECK_EQUAL(session(&ec_identity, "dps.example", false, WHOLE), 0);
    CHECK_EQUAL(refusal(&ec_identity, "other.example", NOW), BR_ERR_X509_BAD_SERVER_NAME);
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", NOW_AFTER), BR_ERR_X509_EXPIRED);
    CHECK_EQUAL(refusal(&rsa_identity, "rsa.example", NOW), BR_ERR_X509_NOT_TRUSTED);
    return 0;
}

static int test_dates(void)
{
    CHECK_EQUAL(load(), 0);
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", NOW_AFTER), BR_ERR_X509_EXPIRED);
    /* Without a clock: the certificate itself gives the time. */
    CHECK_EQUAL(start_client("dps.example", 0, false), 0);
    CHECK_EQUAL(start_server(&ec_identity), 0);
    pump(WHOLE);
    CHECK(is_open(client_engine()) && is_open(server_engine()));
    CHECK_EQUAL(crypto_tls_client_not_after(&client), 4948914610);
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", CRYPTO_TLS_TIME_FLOOR), BR_ERR_X509_EXPIRED);
    /* To the second: openssl x509 -dates says Nov 22 02:30:10 2026 and Oct 29 02:30:10 2126; date -d ... +%s. */
    static const uint64_t not_before = 1795314610, not_after = 4948914610;
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", not_before - 1), BR_ERR_X509_EXPIRED);
    CHECK_EQUAL(refusal(&ec_identity, "dps.example", not_after + 1), BR_ERR_X509_EXPIRED);
    const uint64_t valid[] = {not_before, not_after};
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQUAL(start_client("dps.example", valid[i], false), 0);
        CHECK_EQUAL(start_server(&ec_identity), 0);
        pump(WHOLE);
        CHECK(is_open(client_engine()));
    }
    return 0;
}

/* Open a connection and catch the record that carries a message of the server. Returns its length. */
static size_t catch_record(uint8_t *record, size_t capacity)
{
    static const uint8_t message[] = "the secret of the server";
    if (start("dps.example") != 0) {
        return 0;
    }
    pump(WHOLE);
    size_t len = 0;
    if (put(server_engine(), message, sizeof message) != sizeof message) {
        return 0;
    }
    const uint8_t *out = crypto_tls_record_out(server_engine(), &len);
    if (out == NULL || len > capacity) {
        return 0;
    }
    memcpy(record, out, len);
    return len;
}

/* Feed bytes to the client as long as it takes some. */
static void feed_client(const uint8_t *p, size_t len)
{
    size_t room;
    for (uint8_t *in; len > 0 && (in = crypto_tls_record_in(client_engine(), &room)) != NULL;) {
        size_t take = len < room ? len : room;
        memcpy(in, p, take);
        crypto_tls_record_received(client_engine(), take);
        p += take;
        len -= take;
    }
}

/* Any changed byte of a record: nothing of it is delivered, and no later record either. */
static int test_tampered(void)
{
    uint8_t record[200], received[100];
    size_t len = catch_record(record, sizeof record);
    CHECK(len > 40);
    feed_client(record, len);
    CHECK_EQUAL(get(client_engine(), received, sizeof received), sizeof "the secret of the server");
    for (size_t i = 0; i < len; i++) {
        CHECK_EQUAL(catch_record(record, sizeof record), len);
        uint8_t whole[sizeof record];
        memcpy(whole, record, len);
        record[i] ^= 0x01;
        feed_client(record, len);
        feed_client(whole, len);
        CHECK_EQUAL(get(client_engine(), received, sizeof received), 0);
        if (i >= 5) {
            CHECK_EQUAL(crypto_tls_error(client_engine()), BR_ERR_BAD_MAC);
        }
    }
    return 0;
}

/* The same record twice is a replay; a record that is left out is a gap. */
static int test_replayed(void)
{
    uint8_t record[200], received[100];
    size_t len = catch_record(record, sizeof record);
    feed_client(record, len);
    CHECK(get(client_engine(), received, sizeof received) > 0);
    feed_client(record, len);
    CHECK_EQUAL(crypto_tls_error(client_engine()), BR_ERR_BAD_MAC);

    len = catch_record(record, sizeof record);
    crypto_tls_record_sent(server_engine(), len);
    CHECK_EQUAL(put(server_engine(), received, 10), 10);
    pump(WHOLE);
    CHECK_EQUAL(crypto_tls_error(client_engine()), BR_ERR_BAD_MAC);
    CHECK_EQUAL(get(client_engine(), received, sizeof received), 0);
    return 0;
}

/* Any changed byte of the server's first flight: the handshake does not come through. */
static int test_tampered_handshake(void)
{
    size_t len = 1, changed = 0;
    for (size_t i = 0; i < len; i += 7) {
        uint8_t flight[2000];
        CHECK_EQUAL(start("dps.example"), 0);
        while (carry(client_engine(), server_engine(), WHOLE) > 0) {
            ;
        }
        len = 0;
        size_t part;
        for (const uint8_t *out; (out = crypto_tls_record_out(server_engine(), &part)) != NULL; len += part) {
            CHECK(part <= sizeof flight - len);
            memcpy(flight + len, out, part);
            crypto_tls_record_sent(server_engine(), part);
        }
        if (i >= len) { /* signatures differ in length */
            break;
        }
        flight[i] ^= 0x04;
        feed_client(flight, len);
        pump(WHOLE);
        CHECK(!is_open(client_engine()) && !is_open(server_engine()));
        changed++;
    }
    CHECK(changed > 50);
    return 0;
}

/* A stream that ends early, in the handshake or in a record: never open, never closed cleanly, nothing delivered. */
static int test_truncated(void)
{
    uint8_t record[200], received[100];
    size_t len = catch_record(record, sizeof record);
    for (size_t cut = 0; cut < len; cut++) {
        CHECK_EQUAL(catch_record(record, sizeof record), len);
        feed_client(record, cut);
        CHECK_EQUAL(get(client_engine(), received, sizeof received), 0);
        CHECK(!is_closed(client_engine()));
    }
    for (size_t cut = 1; cut < 700; cut += 11) {
        CHECK_EQUAL(start("dps.example"), 0);
        while (carry(client_engine(), server_engine(), WHOLE) > 0) {
            ;
        }
        for (size_t moved = 0, step = 1; moved < cut && step > 0; moved += step) {
            step = carry(server_engine(), client_engine(), cut - moved);
        }
        CHECK(!is_open(client_engine()) && !is_closed(client_engine()));
    }
    return 0;
}

/* Plain text on the TLS port, and other versions. */
static int test_not_tls(void)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    CHECK_EQUAL(start("dps.example"), 0);
    feed_client((const uint8_t *)http, sizeof http - 1);
    CHECK(is_closed(client_engine()) && crypto_tls_error(client_engine()) != 0);

    /* A ClientHello of TLS 1.1, with ECDHE and AES-CBC, is refused with an alert. */
    static const char hello[] = "\x16\3\1\0\x33\1\0\0\x2f\3\2"     /* record, handshake, version */
                                "0123456789abcdef0123456789abcdef" /* random */
                                "\0\0\6\xc0\x09\xc0\x13\0\x2f\1\0" /* no session; suites; no compression */
                                "\0"; /* no extensions, with the zero at the end */
    size_t len, room;
    CHECK_EQUAL(start("dps.example"), 0);
    for (size_t at = 0; at < sizeof hello;) {
        uint8_t *in = crypto_tls_record_in(server_engine(), &room);
        CHECK(in != NULL);
        size_t take = sizeof hello - at < room ? sizeof hello - at : room;
        memcpy(in, hello + at, take);
        crypto_tls_record_received(server_engine(), take);
        at += take;
    }
    while (crypto_tls_record_out(server_engine(), &len) != NULL) {
        crypto_tls_record_sent(server_engine(), len);
    }
    CHECK(is_closed(server_engine()));
    CHECK_EQUAL(crypto_tls_error(server_engine()), BR_ERR_SEND_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION);
    return 0;
}

#if !CRYPTO_TLS_OPENSSL
/* The same entropy gives the same bytes, other entropy gives others: nothing comes from the system. */
static int test_deterministic(void)
{
    static const uint8_t other[32] = {2};
    uint8_t first[600], server_first[2000];
    size_t len = 0, len_again, server_len = 0, server_len_again;
    for (int round = 0; round < 2; round++) {
        CHECK_EQUAL(start("dps.example"), 0);
        const uint8_t *out = crypto_tls_record_out(client_engine(), &len_again);
        CHECK(out != NULL && len_again <= sizeof first);
        if (round == 0) {
            len = len_again;
            memcpy(first, out, len);
        } else {
            CHECK(len == len_again && memcmp(first, out, len) == 0);
        }
        while (carry(client_engine(), server_engine(), WHOLE) > 0) {
            ;
        }
        out = crypto_tls_record_out(server_engine(), &server_len_again);
        CHECK(out != NULL && server_len_again <= sizeof server_first);
        if (round == 0) {
            server_len = server_len_again;
            memcpy(server_first, out, server_len);
        } else {
            CHECK(server_len == server_len_again && memcmp(server_first, out, server_len) == 0);
        }
    }
    CHECK_EQUAL(crypto_tls_client_start(&client, &trust, "dps.example", NOW, other, client_io,
                                        sizeof client_io, false),
                0);
    const uint8_t *out = crypto_tls_record_out(client_engine(), &len_again);
    CHECK(out != NULL && memcmp(first + 11, out + 11, 32) != 0);
    return 0;
}
#endif

static bool is_zero(const void *p, size_t len)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static int test_wipe(void)
{
    CHECK_EQUAL(start("dps.example"), 0);
    pump(WHOLE);
    crypto_tls_client_wipe(&client);
    crypto_tls_server_wipe(&server);
    CHECK(is_zero(&client, sizeof client) && is_zero(&server, sizeof server));
    return 0;
}

/* The server closes first; what it said before is still delivered. */
static int test_server_closes(void)
{
    uint8_t received[100];
    CHECK_EQUAL(start("dps.example"), 0);
    pump(WHOLE);
    CHECK_EQUAL(put(server_engine(), (const uint8_t *)"bye", 3), 3);
    pump(WHOLE);
    crypto_tls_close(server_engine());
    pump(WHOLE);
    CHECK_EQUAL(get(client_engine(), received, sizeof received), 3);
    pump(WHOLE);
    CHECK(is_closed(client_engine()) && crypto_tls_error(client_engine()) == 0);
    CHECK(is_closed(server_engine()) && crypto_tls_error(server_engine()) == 0);
    return 0;
}

static int test_error_text(void)
{
    const char *known[2000];
    for (int error = -1; error < 1999; error++) {
        known[error + 1] = crypto_tls_error_text(error);
        CHECK(known[error + 1] != NULL && strlen(known[error + 1]) > 5);
    }
    CHECK_EQUAL(crypto_tls_error_text(BR_ERR_X509_BAD_SERVER_NAME),
                "the certificate is for another host name");
    CHECK(strstr(crypto_tls_error_text(BR_ERR_X509_EXPIRED), "clock") != NULL);
    CHECK(crypto_tls_error_text(256 + 99) != crypto_tls_error_text(512 + 99));
    CHECK(crypto_tls_error_text(512 + 40) != crypto_tls_error_text(512 + 99));
    return 0;
}

/* Texts put together from the vectors. */
static char pem[20000];
static struct bytes join(const char *const *parts, size_t count)
{
    pem[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(pem, parts[i]);
    }
    return text(pem);
}

static int test_trust(void)
{
    CHECK(crypto_trust_load(&trust, text(vector_tls_ca)) == 0 && trust.count == 1);

    /* A bundle: comments, a key that is passed over, CRLF, no newline at the end. */
    const char *const bundle[] = {"# a comment\n", vector_tls_ca,       vector_tls_ec_key_pkcs8,
                                  "\nanother\r\n", vector_tls_other_ca, vector_tls_rsa_leaf};
    struct bytes all = join(bundle, 6);
    CHECK(crypto_trust_load(&trust, (struct bytes){all.p, all.len - 1}) == 0 && trust.count == 3);

    /* One that cannot be used does not affect the others. */
    const char *const mixed[] = {vector_tls_ed25519_leaf, vector_tls_ca, vector_tls_ed25519_leaf};
    CHECK(crypto_trust_load(&trust, join(mixed, 3)) == 0);
    CHECK(trust.count == (CRYPTO_TLS_OPENSSL ? 3 : 1) && trust.skipped == 3 - trust.count);
    const int alone = crypto_trust_load(&trust, text(vector_tls_ed25519_leaf));
    CHECK(CRYPTO_TLS_OPENSSL ? alone == 0 && trust.count == 1
                             : alone == BYTES_E_ALGORITHM && trust.count == 0);
    CHECK_EQUAL(crypto_trust_load(&trust, text(vector_tls_ec_key_sec1)), BYTES_E_FORMAT);
    CHECK_EQUAL(crypto_trust_load(&trust, (struct bytes){NULL, 0}), BYTES_E_FORMAT);
    return 0;
}

#if !CRYPTO_TLS_OPENSSL
struct subject_reader {
    br_x509_decoder_context decoder;
    br_sha256_context digest;
};

static void read_subject(void *context, const void *p, size_t len)
{
    br_sha256_update(&((struct subject_reader *)context)->digest, p, len);
}

static void read_der(void *context, const void *p, size_t len)
{
    br_x509_decoder_push(&((struct subject_reader *)context)->decoder, p, len);
}

static void subject_of(const char *certificate, uint8_t digest[32])
{
    struct crypto_pem objects;
    struct subject_reader reader;
    br_sha256_init(&reader.digest);
    br_x509_decoder_init(&reader.decoder, read_subject, &reader);
    crypto_pem_open(&objects, text(certificate));
    (void)crypto_pem_next(&objects, crypto_pem_is_certificate, read_der, &reader);
    br_sha256_out(&reader.digest, digest);
}

/* Only those that a chain names are taken out of a bundle, and no more of one name than fit. */
static int test_trust_find(void)
{
    struct crypto_chain_names of_ca, of_leaf;
    static struct crypto_anchors found;
    subject_of(vector_tls_ca, of_ca.subject);
    memcpy(of_ca.issuer, of_ca.subject, sizeof of_ca.issuer); /* self-signed */
    subject_of(vector_tls_rsa_leaf, of_leaf.subject);
    memcpy(of_leaf.issuer, of_ca.subject, sizeof of_leaf.issuer);
    const char *const bundle[] = {vector_tls_other_ca, vector_tls_ed25519_leaf, vector_tls_ca,
                                  vector_tls_rsa_leaf};
    CHECK_EQUAL(crypto_trust_load(&trust, join(bundle, 4)), 0);
    CHECK(crypto_trust_find(&trust, &of_ca, &found) == 0 && found.count == 1);
    CHECK(found.slots[0].flags == BR_X509_TA_CA && found.slots[0].pkey.key_type == BR_KEYTYPE_EC);
    /* The leaf is trusted itself, and so is the CA that it names. */
    CHECK(crypto_trust_find(&trust, &of_leaf, &found) == 0 && found.count == 2);
    CHECK(found.slots[1].flags == 0 && found.slots[1].pkey.key_type == BR_KEYTYPE_RSA);

    const char *many[CRYPTO_TRUST_ANCHORS_MAX + 1];
    for (size_t i = 0; i <= CRYPTO_TRUST_ANCHORS_MAX; i++) {
        many[i] = vector_tls_ca;
    }
    CHECK_EQUAL(crypto_trust_load(&trust, join(many, CRYPTO_TRUST_ANCHORS_MAX)), 0);
    CHECK(crypto_trust_find(&trust, &of_ca, &found) == 0 && found.count == CRYPTO_TRUST_ANCHORS_MAX);
    CHECK_EQUAL(crypto_trust_load(&trust, join(many, CRYPTO_TRUST_ANCHORS_MAX + 1)), 0);
    CHECK(crypto_trust_find(&trust, &of_ca, &found) == BYTES_E_LIMIT && found.count == 0);
    return 0;
}
#endif

/* What editors and other systems leave in a PEM text. */
static int test_pem_dress(void)
{
    static const struct {
        const char *before, *line_begin, *line_end;
    } dresses[] = {
        {"", "", "\r\n"},
        {"", "", "\r"},
        {"", "", " \t\n"},
        {"", "  ", "\n"},
        {"\xef\xbb\xbf", "", "\n"},
        {"Bag Attributes\n    friendlyName: ca\nsubject=CN = x\n", "", "\n"},
        {"Certificate:\n    Data:\n        Version: 3 (0x2)\n", "", "\r\n"},
    };
    static char dressed[4000];
    for (size_t i = 0; i < sizeof dresses / sizeof dresses[0]; i++) {
        const char *const texts[] = {vector_tls_ca, vector_tls_ec_leaf, vector_tls_ec_key_pkcs8};
        static struct bytes views[3];
        static char copies[3][4000];
        for (size_t k = 0; k < 3; k++) {
            strcpy(dressed, dresses[i].before);
            strcat(dressed, dresses[i].line_begin);
            for (const char *p = texts[k]; *p != '\0'; p++) {
                const char one[2] = {*p, '\0'};
                strcat(dressed, *p == '\n' ? dresses[i].line_end : one);
                if (*p == '\n') {
                    strcat(dressed, dresses[i].line_begin);
                }
            }
            strcpy(copies[k], dressed);
            views[k] = text(copies[k]);
        }
        CHECK(crypto_trust_load(&trust, views[0]) == 0 && trust.count == 1);
        CHECK_EQUAL(load_identity(&ec_identity, views[1], views[2]), 0);
    }
    return 0;
}

/* Where the last line of a PEM text becomes recognisable as its end: after "-----END ". Before that, a text is cut. */
static size_t end_line(const char *s)
{
    return (size_t)(strstr(s, "-----END ") - s) + strlen("-----END ");
}

/* Every cut is refused, except within the words of the end line, when the whole content has been there. */
static int test_pem_cut(void)
{
    size_t whole = end_line(vector_tls_ca);
    for (size_t cut = 0; cut < whole; cut++) {
        CHECK_EQUAL(crypto_trust_load(&trust, (struct bytes){(const uint8_t *)vector_tls_ca, cut}),
                    BYTES_E_FORMAT);
    }
    for (size_t cut = 0; cut < end_line(vector_tls_ec_leaf); cut++) {
        const struct bytes chain = {(const uint8_t *)vector_tls_ec_leaf, cut};
        CHECK_EQUAL(load_identity(&ec_identity, chain, text(vector_tls_ec_key_sec1)), BYTES_E_FORMAT);
        CHECK(is_zero(&ec_identity, sizeof ec_identity));
    }
    static const char *const keys[] = {vector_tls_ec_key_sec1, vector_tls_ec_key_pkcs8,
                                       vector_tls_rsa_key_pkcs1, vector_tls_rsa_key_pkcs8};
    for (size_t i = 0; i < 4; i++) {
        for (size_t cut = 0; cut < end_line(keys[i]); cut++) {
            const struct bytes key = {(const uint8_t *)keys[i], cut};
            CHECK_EQUAL(
                load_identity(&ec_identity, text(i < 2 ? vector_tls_ec_leaf : vector_tls_rsa_leaf), key),
                BYTES_E_FORMAT);
            CHECK(is_zero(&ec_identity, sizeof ec_identity));
        }
    }
    return 0;
}

/* Every byte changed: refused or harmless, and never a crash. A changed certificate of an identity still has to carry
 * the right key. */
static int test_pem_changed(void)
{
    static const uint8_t changes[] = {0x01, 0x04, 0x20, 0x80};
    static char changed[3000];
    for (size_t k = 0; k < sizeof changes; k++) {
        memcpy(changed, vector_tls_ca, strlen(vector_tls_ca) + 1);
        for (size_t i = 0; changed[i] != '\0'; i++) {
            char before = changed[i];
            changed[i] = (char)(before ^ changes[k]);
            int error =
                crypto_trust_load(&trust, (struct bytes){(const uint8_t *)changed, strlen(vector_tls_ca)});
            CHECK((error == 0) == (trust.count == 1));
            changed[i] = before;
        }
        memcpy(changed, vector_tls_ec_key_pkcs8, strlen(vector_tls_ec_key_pkcs8) + 1);
        for (size_t i = 0; changed[i] != '\0'; i++) {
            char before = changed[i];
            changed[i] = (char)(before ^ changes[k]);
            const struct bytes key = {(const uint8_t *)changed, strlen(vector_tls_ec_key_pkcs8)};
            int error = load_identity(&ec_identity, text(vector_tls_ec_leaf), key);
            CHECK(error == 0 || is_zero(&ec_identity, sizeof ec_identity));
            changed[i] = before;
        }
    }
    return 0;
}

static int test_identity(void)
{
    static const struct {
        const char *chain, *key;
        int result;
    } cases[] = {
        {vector_tls_ec_leaf, vector_tls_ec_key_sec1, 0},
        {vector_tls_ec_leaf, vector_tls_ec_key_pkcs8, 0},
        {vector_tls_rsa_leaf, vector_tls_rsa_key_pkcs1, 0},
        {vector_tls_rsa_leaf, vector_tls_rsa_key_pkcs8, 0},
        {vector_tls_ec_leaf, vector_tls_ec_key_encrypted, BYTES_E_FORMAT},
        {vector_tls_ec_leaf, vector_tls_ec_leaf, BYTES_E_FORMAT},
        {vector_tls_ec_key_sec1, vector_tls_ec_key_sec1, BYTES_E_FORMAT},
        {vector_tls_ec_leaf, "", BYTES_E_FORMAT},
        {"", vector_tls_ec_key_sec1, BYTES_E_FORMAT},
        /* OpenSSL can use them, but not together. */
        {vector_tls_ed25519_leaf, vector_tls_ec_key_sec1,
         CRYPTO_TLS_OPENSSL ? BYTES_E_USAGE : BYTES_E_ALGORITHM},
        {vector_tls_ec_leaf, vector_tls_p521_key, CRYPTO_TLS_OPENSSL ? BYTES_E_USAGE : BYTES_E_ALGORITHM},
        {vector_tls_ec_leaf, vector_tls_rsa_key_pkcs1, BYTES_E_USAGE},
        {vector_tls_rsa_leaf, vector_tls_ec_key_sec1, BYTES_E_USAGE},
        {vector_tls_ca, vector_tls_ec_key_sec1, BYTES_E_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQUAL(load_identity(&ec_identity, text(cases[i].chain), text(cases[i].key)), cases[i].result);
        CHECK((cases[i].result == 0) == (ec_identity.chain_len == 1));
        CHECK(cases[i].result == 0 || is_zero(&ec_identity, sizeof ec_identity));
    }

    /* One file with everything; a chain of four, and of five. */
    const char *const file[] = {vector_tls_ec_leaf, vector_tls_ca,          vector_tls_ca,
                                vector_tls_ca,      vector_tls_ec_key_sec1, vector_tls_ec_key_pkcs8};
    struct bytes all = join(file, 5);
    CHECK(load_identity(&ec_identity, all, all) == 0 && ec_identity.chain_len == 4);
#if !CRYPTO_TLS_OPENSSL
    CHECK(ec_identity.issuer_key_type == BR_KEYTYPE_EC && ec_identity.key_type == BR_KEYTYPE_EC);
#endif
    CHECK_EQUAL(load_identity(&ec_identity, text(vector_tls_ec_leaf), join(file, 6)), BYTES_E_FORMAT);
    const char *const five[] = {vector_tls_ec_leaf, vector_tls_ca, vector_tls_ca, vector_tls_ca,
                                vector_tls_ca};
    CHECK_EQUAL(load_identity(&ec_identity, join(five, 5), text(vector_tls_ec_key_sec1)), BYTES_E_LIMIT);
    return 0;
}

static const struct test tests[] = {
    {"handshake, data both ways, close", test_session},
    {"many records both ways", test_long_data},
    {"pieces of 1 to 100 bytes", test_every_piece},
    {"half-duplex buffer", test_small_buffer},
    {"arguments that are refused", test_usage},
    {"resumption", test_resumption},
    {"resumption is not offered to others", test_resumption_refused},
    {"wrong host name", test_wrong_host},
    {"untrusted root", test_not_trusted},
    {"expired and not yet valid", test_dates},
    {"tampered record", test_tampered},
    {"replayed and lost record", test_replayed},
    {"tampered handshake", test_tampered_handshake},
    {"truncated stream", test_truncated},
    {"not TLS, and TLS 1.1", test_not_tls},
#if !CRYPTO_TLS_OPENSSL
    {"reproducible from its entropy", test_deterministic},
    {"trust anchors: only those that a chain names", test_trust_find},
#endif
    {"wiping", test_wipe},
    {"the server closes first", test_server_closes},
    {"error texts", test_error_text},
    {"trust anchors from PEM", test_trust},
    {"PEM with what editors leave around it", test_pem_dress},
    {"PEM cut at every byte", test_pem_cut},
    {"PEM with every byte changed", test_pem_changed},
    {"identities from PEM", test_identity},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
