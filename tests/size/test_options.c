/* SPDX-License-Identifier: MIT */
/* What must hold in every build that a limits.h allows: options_test.sh compiles this with each of them. What is
 * switched on works, and what is switched off is refused with an error, not silently missing. */
#include "crypto/tls.h"
#include "crypto/tls_identity.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/protocol/http.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/tls_pem.h"
#include <string.h>

#define NOW 1800000000u
/* tests/port/flow.c has a service in it, and an owner. */
#define WHOLE_FLOW (DPS_WITH_SERVICE && DPS_WITH_OWNERSHIP)

static struct flow f;
static struct crypto_trust trust;
static struct crypto_identity identity;
static struct crypto_tls_client client;
static struct crypto_tls_server server;
static uint8_t client_io[PORT_TLS_BUFFER], server_io[CRYPTO_TLS_BUFFER_BIDI];

static size_t carry(crypto_tls_engine *from, crypto_tls_engine *to)
{
    size_t have = 0, room = 0;
    const uint8_t *out = crypto_tls_record_out(from, &have);
    uint8_t *in = crypto_tls_record_in(to, &room);
    size_t len = have < room ? have : room;
    if (out == NULL || in == NULL) {
        return 0;
    }
    memcpy(in, out, len);
    crypto_tls_record_sent(from, len);
    crypto_tls_record_received(to, len);
    return len;
}

/* Does the client accept the server's certificate, which it was given as its trust anchor, and read 3000 bytes from it,
 * however short the records are? */
static int handshake(const char *host, const char *leaf, const char *key, bool *open)
{
    static const uint8_t entropy[32] = "entropy for a test of options";
    crypto_tls_engine *c = crypto_tls_client_engine(&client), *s = crypto_tls_server_engine(&server);
    size_t received = 0, len;
    CHECK(crypto_trust_load(&trust, bytes_of_text(leaf)) == 0);
    CHECK(crypto_identity_load(&identity, bytes_of_text(leaf), bytes_of_text(key)) == 0);
    CHECK(crypto_tls_client_start(&client, &trust, host, NOW, entropy, client_io, sizeof client_io, false) ==
          0);
    CHECK(crypto_tls_server_start(&server, &identity, NULL, entropy, server_io, sizeof server_io) == 0);
    while (carry(c, s) + carry(s, c) > 0) {
        ;
    }
    *open = (crypto_tls_want(c) & CRYPTO_TLS_APP_OUT) != 0;
    while (*open && received < 3000) {
        uint8_t *room = crypto_tls_app_out(s, &len);
        if (room != NULL) {
            memset(room, 7, len);
            crypto_tls_app_sent(s, len);
            crypto_tls_flush(s);
        }
        CHECK(carry(s, c) > 0 || room != NULL);
        if (crypto_tls_app_in(c, &len) != NULL) {
            received += len;
            crypto_tls_app_received(c, len);
        }
    }
    return 0;
}

static int rsa_certificate(void)
{
    bool open = false;
    CHECK(handshake("rsa.example", vector_tls_rsa_leaf, vector_tls_rsa_key_pkcs1, &open) == 0);
    CHECK(open == (CRYPTO_TLS_RSA != 0));
    return 0;
}

static int ec_certificate(void)
{
    bool open = true;
    CHECK(handshake("dps.example", vector_tls_ec_leaf, vector_tls_ec_key_sec1, &open) == 0);
    CHECK(open == (CRYPTO_TLS_EC != 0));
    return 0;
}

static int http_roles(void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct dps_http http;
    uint8_t buffer[100];
    size_t len = sizeof response - 1;
    memcpy(buffer, response, len);
    dps_http_init(&http, DPS_HTTP_RESPONSE);
    CHECK(dps_http_advance(&http, buffer, &len, sizeof buffer, false) == 0 && http.status == 200);
    len = sizeof request - 1;
    memcpy(buffer, request, len);
    dps_http_init(&http, DPS_HTTP_REQUEST);
    CHECK(dps_http_advance(&http, buffer, &len, sizeof buffer, false) ==
          (DPS_WITH_SERVICE ? 0 : BYTES_E_FORMAT));
    return 0;
}

static int step_texts(void)
{
    static const uint8_t nonce[32] = {1};
    const struct dps_device_config config = {.service_host = "dps.example"};
    CHECK(dps_device_read_ek(&f.device, &config, nonce) == 0);
    CHECK(dps_device_want(&f.device) == DPS_WANT_TPM && dps_device_step(&f.device) == 1);
    CHECK((strlen(dps_device_what(&f.device)) > 0) == (DPS_WITH_STEP_TEXTS != 0));
    return 0;
}

#if WHOLE_FLOW
/* Steps 1 to 10, with a real TPM and the buffers of this build. */
static int whole_flow(void)
{
    CHECK(flow_open(&f, "options", false) == 0);
    CHECK(flow_register(&f) == 0 && f.saves == 1);
    CHECK(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)) == 0);
    CHECK(flow_finish(&f) == 0 && dps_device_token_text(&f.device).len > 0);
    flow_close(&f);
    return 0;
}
#endif

int main(void)
{
    static const struct test tests[] = {
        {"a server with an RSA certificate is accepted if the build knows RSA", rsa_certificate},
        {"a server with an EC certificate is accepted if the build knows EC", ec_certificate},
        {"responses are received, requests if the build has the service", http_roles},
        {"steps are told in words if the build has them", step_texts},
#if WHOLE_FLOW
        {"the whole flow", whole_flow},
#endif
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
