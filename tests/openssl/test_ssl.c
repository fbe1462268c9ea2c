/* SPDX-License-Identifier: MIT */
/* What TLS on libssl has and BearSSL has not, or does in another way. The rest is in tests/unit/test_tls.c, which runs
 * with both. Certificates are made here, for the day and for the kind of key. */
#include "crypto/tls_chain.h"
#include "crypto/tls_identity.h"
#include "tests/unit/test.h"
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NOW 1800000000
#define DAY 86400
#define WHOLE SIZE_MAX

static struct crypto_trust trust;
static struct crypto_identity identity;
static struct crypto_tls_client client;
static struct crypto_tls_server server;
static struct crypto_tls_cache cache;
static uint8_t client_io[CRYPTO_TLS_BUFFER_BIDI], server_io[CRYPTO_TLS_BUFFER_BIDI];
static char anchor_pem[8192], chain_pem[16384], key_pem[8192];

/* ---- Certificates ------------------------------------------------------------------------------------------------ */

/* A key, its certificate, and who signed it. */
struct party {
    EVP_PKEY *key;
    X509 *certificate;
};
static struct party root, middle, leaf;

static void party_end(struct party *p)
{
    EVP_PKEY_free(p->key);
    X509_free(p->certificate);
    *p = (struct party){NULL, NULL};
}

static bool add_extension(X509 *certificate, const char *name, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf(NULL, &context, name, value);
    const bool added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* extensions: pairs of name and value, null at the end. Takes key. */
static bool issue(struct party *p, EVP_PKEY *key, const char *name, const struct party *issuer,
                  const char *const *extensions, time_t begin, time_t end)
{
    static long serial = 1;
    party_end(p);
    *p = (struct party){key, X509_new()};
    const struct party *by = issuer != NULL ? issuer : p;
    X509_NAME *subject = X509_get_subject_name(p->certificate);
    bool done = key != NULL && X509_set_version(p->certificate, 2) == 1 &&
                ASN1_INTEGER_set(X509_get_serialNumber(p->certificate), serial++) == 1 &&
                ASN1_TIME_set(X509_getm_notBefore(p->certificate), begin) != NULL &&
                ASN1_TIME_set(X509_getm_notAfter(p->certificate), end) != NULL &&
                X509_set_pubkey(p->certificate, key) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                           0) == 1 &&
                X509_set_issuer_name(p->certificate, X509_get_subject_name(by->certificate)) == 1;
    for (; done && *extensions != NULL; extensions += 2) {
        done = add_extension(p->certificate, extensions[0], extensions[1]);
    }
    const bool of_its_own = EVP_PKEY_is_a(by->key, "ED25519") == 1 || EVP_PKEY_is_a(by->key, "ED448") == 1;
    return done && X509_sign(p->certificate, by->key, of_its_own ? NULL : EVP_sha256()) > 0;
}

static bool write_pem(char *text, size_t size, const struct party *const *parties, const EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool done = bio != NULL;
    for (; done && parties != NULL && *parties != NULL; parties++) {
        done = PEM_write_bio_X509(bio, (*parties)->certificate) == 1;
    }
    done = done && (key == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    const int len = done ? BIO_read(bio, text, (int)size - 1) : -1;
    BIO_free(bio);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static struct bytes text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static const char *const of_ca[] = {"basicConstraints", "critical,CA:TRUE", NULL};
static const char *const of_leaf[] = {"subjectAltName", "DNS:dps.example", NULL};

/* The server shows leaf and middle, if there is one; the client trusts anchor. */
static bool use(const struct party *anchor, bool with_middle)
{
    const struct party *const trusted[] = {anchor, NULL};
    const struct party *const shown[] = {&leaf, with_middle ? &middle : NULL, NULL};
    crypto_identity_wipe(&identity);
    return write_pem(anchor_pem, sizeof anchor_pem, trusted, NULL) &&
           write_pem(chain_pem, sizeof chain_pem, shown, NULL) &&
           write_pem(key_pem, sizeof key_pem, NULL, leaf.key) &&
           crypto_trust_load(&trust, text(anchor_pem)) == 0 &&
           crypto_identity_load(&identity, text(chain_pem), text(key_pem)) == 0;
}

static EVP_PKEY *p256(void)
{
    return EVP_EC_gen("P-256");
}

/* Of the usual size, where there are several. */
static EVP_PKEY *new_key(const char *kind)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    if (context != NULL && EVP_PKEY_keygen_init(context) == 1) {
        (void)EVP_PKEY_generate(context, &key);
    }
    EVP_PKEY_CTX_free(context);
    return key;
}

/* root, middle, leaf, as usual but for what a test changes. */
static bool make_chain(const char *const *of_middle, const char *const *of_this_leaf)
{
    return issue(&root, p256(), "root", NULL, of_ca, NOW - DAY, NOW + DAY) &&
           issue(&middle, p256(), "middle", &root, of_middle, NOW - DAY, NOW + DAY) &&
           issue(&leaf, p256(), "leaf", &middle, of_this_leaf, NOW - DAY, NOW + DAY) && use(&root, true);
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static crypto_tls_engine *at_client(void)
{
    return crypto_tls_client_engine(&client);
}

static crypto_tls_engine *at_server(void)
{
    return crypto_tls_server_engine(&server);
}

static size_t carry(crypto_tls_engine *from, crypto_tls_engine *to, size_t limit)
{
    size_t have, room;
    const uint8_t *out = crypto_tls_record_out(from, &have);
    uint8_t *in = crypto_tls_record_in(to, &room);
    size_t len = have < room ? have : room;
    len = len < limit ? len : limit;
    if (out == NULL || in == NULL) {
        return 0;
    }
    memcpy(in, out, len);
    crypto_tls_record_sent(from, len);
    crypto_tls_record_received(to, len);
    return len;
}

static void pump(void)
{
    while (carry(at_client(), at_server(), WHOLE) + carry(at_server(), at_client(), WHOLE) > 0) {
    }
}

static bool start(uint64_t now, bool resume, struct crypto_tls_cache *with)
{
    static const uint8_t entropy[32];
    crypto_tls_server_wipe(&server);
    return crypto_tls_client_start(&client, &trust, "dps.example", now, entropy, client_io, sizeof client_io,
                                   resume) == 0 &&
           crypto_tls_server_start(&server, &identity, with, entropy, server_io, sizeof server_io) == 0;
}

static bool is_open(crypto_tls_engine *e)
{
    return (crypto_tls_want(e) & CRYPTO_TLS_APP_OUT) != 0;
}

static bool connects(bool resume)
{
    const bool started = start(NOW, resume, &cache);
    pump();
    return started && is_open(at_client()) && is_open(at_server());
}

static bool says_hello(crypto_tls_engine *from, crypto_tls_engine *to)
{
    size_t len;
    uint8_t *out = crypto_tls_app_out(from, &len);
    if (out == NULL) {
        return false;
    }
    memcpy(out, "hello", 5);
    crypto_tls_app_sent(from, 5);
    crypto_tls_flush(from);
    pump();
    const uint8_t *in = crypto_tls_app_in(to, &len);
    const bool heard = in != NULL && len == 5 && memcmp(in, "hello", 5) == 0;
    if (in != NULL) {
        crypto_tls_app_received(to, len);
    }
    return heard;
}

static int refusal(uint64_t now)
{
    if (!start(now, false, &cache)) {
        return -1;
    }
    pump();
    return is_open(at_client()) || is_open(at_server()) ? 0 : crypto_tls_error(at_client());
}

static void only_1_2(void)
{
    (void)SSL_CTX_set_max_proto_version(identity.context, TLS1_2_VERSION);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static int kinds_of_keys(void)
{
    static const char *const names[] = {"ED25519", "ED448", "P-384", "P-521", "RSA-PSS", "RSA"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        EVP_PKEY *key = names[i][0] == 'P' ? EVP_EC_gen(names[i]) : new_key(names[i]);
        CHECK(issue(&leaf, key, "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && use(&leaf, false));
        for (int version = 13; version >= 12; version--) {
            if (version == 12) {
                only_1_2();
            }
            CHECK(connects(false));
            CHECK(SSL_version(at_client()->ssl) == (version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION));
            CHECK(says_hello(at_client(), at_server()) && says_hello(at_server(), at_client()));
        }
    }
    EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    CHECK(issue(&leaf, weak, "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && !use(&leaf, false));
    return 0;
}

/* The refusals of crypto/tls_chain.h, by the same numbers. */
static int chains(void)
{
    static const char *const of_client[] = {"subjectAltName", "DNS:dps.example", "extendedKeyUsage",
                                            "clientAuth", NULL};
    static const char *const of_both[] = {"subjectAltName", "DNS:dps.example", "extendedKeyUsage",
                                          "clientAuth,serverAuth", NULL};
    static const char *const of_any[] = {"subjectAltName", "DNS:dps.example", "extendedKeyUsage",
                                         "anyExtendedKeyUsage", NULL};
    static const char *const of_encryption[] = {"subjectAltName", "DNS:dps.example", "keyUsage",
                                                "keyEncipherment", NULL};
    static const char *const nameless[] = {"keyUsage", "digitalSignature", NULL};
    static const char *const not_ca[] = {"basicConstraints", "critical,CA:FALSE", NULL};
    static const char *const only_usage[] = {"keyUsage", "critical,keyCertSign", NULL};
    static const char *const only_netscape[] = {"nsCertType", "sslCA", NULL};
    static const char *const ca_of_clients[] = {"basicConstraints", "critical,CA:TRUE", "extendedKeyUsage",
                                                "clientAuth", NULL};
    static const char *const ca_of_names[] = {"basicConstraints", "critical,CA:TRUE", "nameConstraints",
                                              "permitted;DNS:dps.example", NULL};
    const struct {
        const char *const *of_middle, *const *of_this_leaf;
        int error;
    } cases[] = {
        {of_ca, of_leaf, 0},
        {of_ca, of_both, 0},
        {of_ca, of_any, 0},
        {of_ca, of_client, CRYPTO_TLS_BAD_PURPOSE},
        {ca_of_clients, of_leaf, CRYPTO_TLS_BAD_PURPOSE},
        {ca_of_names, of_leaf, CRYPTO_TLS_NAME_CONSTRAINTS},
        {of_ca, nameless, CRYPTO_TLS_NO_SUBJECT_ALT_NAME},
        {of_ca, of_encryption, BR_ERR_WRONG_KEY_USAGE},
        {not_ca, of_leaf, BR_ERR_X509_NOT_CA},
        {only_usage, of_leaf, BR_ERR_X509_NOT_CA},
        {only_netscape, of_leaf, BR_ERR_X509_NOT_CA},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(make_chain(cases[i].of_middle, cases[i].of_this_leaf));
        CHECK_EQUAL(refusal(NOW), cases[i].error);
    }
    return 0;
}

/* Dates of all below the anchor count, those of the anchor do not; without a clock, the chain tells the time. */
static int dates(void)
{
    CHECK(make_chain(of_ca, of_leaf));
    CHECK_EQUAL(refusal(NOW), 0);
    CHECK_EQUAL(refusal(NOW + 2 * DAY), BR_ERR_X509_EXPIRED);
    CHECK_EQUAL(refusal(0), 0);
    CHECK_EQUAL(crypto_tls_client_not_after(&client), NOW + DAY);
    CHECK(use(&middle, true)); /* an intermediate as the anchor */
    CHECK_EQUAL(refusal(NOW), 0);
    CHECK(issue(&root, p256(), "root", NULL, of_ca, NOW - 3 * DAY, NOW - 2 * DAY) &&
          issue(&leaf, p256(), "leaf", &root, of_leaf, NOW - DAY, NOW + DAY) && use(&root, false));
    CHECK_EQUAL(refusal(NOW), 0);
    CHECK(issue(&root, p256(), "root", NULL, of_ca, NOW - DAY, NOW + DAY) &&
          issue(&middle, p256(), "middle", &root, of_ca, NOW - 3 * DAY, NOW - 2 * DAY) &&
          issue(&leaf, p256(), "leaf", &middle, of_leaf, NOW - DAY, NOW + DAY) && use(&root, true));
    CHECK_EQUAL(refusal(NOW), BR_ERR_X509_EXPIRED);
    CHECK_EQUAL(refusal(0), BR_ERR_X509_EXPIRED); /* it had expired when the leaf was issued */
    return 0;
}

/* Of tickets: every process has its own SSL_CTX, and all have one cache. */
static int tickets(void)
{
    CHECK(issue(&leaf, p256(), "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY));
    for (int version = 13; version >= 12; version--) {
        crypto_tls_cache_init(&cache, NULL, 0, NULL);
        for (int i = 0; i < 3; i++) {
            CHECK(use(&leaf, false));
            if (version == 12) {
                only_1_2();
            }
            CHECK(connects(i > 0));
            CHECK_EQUAL(crypto_tls_client_resumed(&client), i > 0);
        }
        CHECK(start(NOW, true, NULL)); /* a server without cache neither takes a ticket nor makes one */
        pump();
        CHECK(is_open(at_client()) && !crypto_tls_client_resumed(&client));
        CHECK(connects(true) && !crypto_tls_client_resumed(&client));
    }
    return 0;
}

static int keys_of_tickets(void)
{
    static const struct crypto_tls_ticket_key none;
    CHECK(issue(&leaf, p256(), "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && use(&leaf, false));
    crypto_tls_cache_init(&cache, NULL, 0, NULL);
    CHECK(connects(false));
    const struct crypto_tls_ticket_key first = cache.keys[0];
    CHECK(first.made != 0 && cache.keys[1].made == 0);
    cache.keys[0].made -= 3601; /* after an hour another one makes tickets; the first one still opens them */
    CHECK(connects(true) && crypto_tls_client_resumed(&client));
    CHECK(memcmp(cache.keys[1].name, first.name, sizeof first.name) == 0);
    CHECK(memcmp(cache.keys[0].name, first.name, sizeof first.name) != 0);
    CHECK(connects(true) && crypto_tls_client_resumed(&client)); /* by a ticket of the new one */
    cache.keys[1].made -= 3600;                                  /* after another hour it is wiped */
    CHECK(connects(true) && memcmp(&cache.keys[1], &none, sizeof none) == 0);
    cache.keys[0].made -= 7200; /* so is a key that nobody used for as long */
    CHECK(connects(true) && !crypto_tls_client_resumed(&client));
    CHECK(memcmp(&cache.keys[1], &none, sizeof none) == 0);
    cache.keys[0].made += 3600; /* the clock was set back */
    CHECK(connects(true) && !crypto_tls_client_resumed(&client));
    return 0;
}

/* A client cannot make the server keep a handshake of any length. */
static int long_handshake(void)
{
    static const uint8_t header[] = {22, 3, 1, 0x40, 0}, hello[] = {1, 0, 0xff, 0xff};
    size_t given = 0, room;
    CHECK(issue(&leaf, p256(), "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && use(&leaf, false));
    CHECK(start(NOW, false, &cache));
    for (uint8_t *in; (in = crypto_tls_record_in(at_server(), &room)) != NULL; given += room) {
        memset(in, 0, room);
        if (room == sizeof header) {
            memcpy(in, header, room);
        } else if (given == sizeof header) {
            memcpy(in, hello, sizeof hello);
        }
        crypto_tls_record_received(at_server(), room);
        CHECK(given < 65536);
    }
    CHECK_EQUAL(crypto_tls_error(at_server()), BR_ERR_TOO_LARGE);
    return 0;
}

/* A second handshake is refused, and the connection goes on [RFC 5246 7.2.2]. */
static int renegotiation(void)
{
    CHECK(issue(&leaf, p256(), "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && use(&leaf, false));
    only_1_2();
    CHECK(connects(false));
    (void)SSL_clear_options(at_client()->ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK(SSL_renegotiate(at_client()->ssl) == 1);
    (void)SSL_do_handshake(at_client()->ssl);
    CHECK(carry(at_client(), at_server(), 5) == 5 && carry(at_client(), at_server(), WHOLE) > 0);
    CHECK(is_open(at_server()) || (crypto_tls_want(at_server()) & CRYPTO_TLS_RECORD_OUT) != 0);
    CHECK_EQUAL(crypto_tls_error(at_server()), 0);
    CHECK(SSL_num_renegotiations(at_server()->ssl) == 0);
    return 0;
}

/* Half duplex: a close in the middle of a record that arrives writes over it, so no more of it may be read. */
static int close_within_record(void)
{
    static const uint8_t entropy[32];
    size_t len;
    CHECK(issue(&leaf, p256(), "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && use(&leaf, false));
    crypto_tls_server_wipe(&server);
    CHECK(crypto_tls_client_start(&client, &trust, "dps.example", NOW, entropy, client_io,
                                  CRYPTO_TLS_BUFFER_MONO, false) == 0 &&
          crypto_tls_server_start(&server, &identity, NULL, entropy, server_io, sizeof server_io) == 0);
    pump();
    CHECK(is_open(at_client()) && is_open(at_server()));
    uint8_t *out = crypto_tls_app_out(at_server(), &len);
    CHECK(out != NULL && len >= 1000);
    memset(out, 0, 1000);
    crypto_tls_app_sent(at_server(), 1000);
    crypto_tls_flush(at_server());
    CHECK(carry(at_server(), at_client(), 5) == 5 && carry(at_server(), at_client(), 500) == 500);
    crypto_tls_close(at_client());
    for (size_t moved = 1; moved > 0;) {
        (void)crypto_tls_record_in(at_client(), &len);
        CHECK(len <= CRYPTO_TLS_BUFFER_MONO);
        moved = carry(at_client(), at_server(), WHOLE);
    }
    CHECK_EQUAL(crypto_tls_want(at_client()), CRYPTO_TLS_CLOSED);
    CHECK_EQUAL(crypto_tls_error(at_client()), 0);
    CHECK_EQUAL(crypto_tls_error(at_server()), 0);
    return 0;
}

/* Connections that end at any byte: AddressSanitizer and valgrind say what they have left. */
static int ends(void)
{
    CHECK(issue(&leaf, p256(), "leaf", NULL, of_leaf, NOW - DAY, NOW + DAY) && use(&leaf, false));
    for (size_t bytes = 0; bytes < 3000; bytes += 97) {
        CHECK(start(NOW, bytes % 2 == 0, &cache));
        for (size_t moved = 1, left = bytes; moved > 0 && left > 0; left -= moved) {
            moved = carry(at_client(), at_server(), left);
            moved = moved > 0 ? moved : carry(at_server(), at_client(), left);
        }
        crypto_tls_client_wipe(&client);
        crypto_tls_server_wipe(&server);
        CHECK(test_is_zero(&client, sizeof client) && test_is_zero(&server, sizeof server));
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"Ed25519, Ed448, P-384, P-521, RSA-PSS and RSA, in TLS 1.3 and 1.2", kinds_of_keys},
        {"chains that are refused", chains},
        {"dates of a chain", dates},
        {"tickets of one process resume at another one", tickets},
        {"keys of tickets change and are wiped", keys_of_tickets},
        {"a handshake that is too long", long_handshake},
        {"no renegotiation", renegotiation},
        {"half duplex: a close in the middle of a record", close_within_record},
        {"connections that end early", ends},
    };
    const int result = test_run(tests, sizeof tests / sizeof tests[0]);
    crypto_tls_client_wipe(&client);
    crypto_tls_server_wipe(&server);
    crypto_identity_wipe(&identity);
    party_end(&root);
    party_end(&middle);
    party_end(&leaf);
    return result;
}
