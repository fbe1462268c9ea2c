/* SPDX-License-Identifier: MIT */
/* A TLS client and a hostile server. Input: one byte of flags (fuzz_tls.h); all that the server sends. */
#include "tests/fuzz/fuzz_tls.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void receive(crypto_tls_engine *e, struct bytes *input, uint8_t flags)
{
    size_t room;
    uint8_t *in = crypto_tls_record_in(e, &room);
    HOLDS(in != NULL && room > 0);
    size_t len = input->len < room ? input->len : room;
    len = flags & TLS_SMALL_PIECES && len > 7 ? 7 : len;
    memcpy(in, input->p, len);
    crypto_tls_record_received(e, len);
    *input = bytes_of(input->p + len, input->len - len);
}

static void send_request(crypto_tls_engine *e)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: dps.example\r\n\r\n";
    size_t room;
    uint8_t *out = crypto_tls_app_out(e, &room);
    HOLDS(out != NULL && room >= sizeof request);
    memcpy(out, request, strlen(request));
    crypto_tls_app_sent(e, strlen(request));
    crypto_tls_flush(e);
}

/* One thing that the engine wants. Returns false when nothing more happens. */
static bool turn(crypto_tls_engine *e, struct bytes *input, uint8_t flags, bool *asked)
{
    size_t len;
    const unsigned want = crypto_tls_want(e);
    if (want & CRYPTO_TLS_CLOSED) {
        HOLDS(want == CRYPTO_TLS_CLOSED);
        HOLDS(strlen(crypto_tls_error_text(crypto_tls_error(e))) > 5);
        return false;
    }
    if (want & CRYPTO_TLS_RECORD_OUT) {
        HOLDS(crypto_tls_record_out(e, &len) != NULL && len > 0);
        crypto_tls_record_sent(e, len);
    } else if (want & CRYPTO_TLS_APP_IN) {
        HOLDS(crypto_tls_app_in(e, &len) != NULL && len > 0);
        crypto_tls_app_received(e, len);
    } else if (want & CRYPTO_TLS_APP_OUT && !*asked) {
        *asked = true;
        send_request(e);
    } else if (input->len > 0) {
        receive(e, input, flags);
    } else {
        return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct crypto_tls_client client;
    static struct crypto_trust trust;
    static uint8_t io[PORT_TLS_BUFFER];
    struct bytes input = bytes_of(data, size);
    const uint8_t flags = fuzz_byte(&input);
    bool asked = false;
    HOLDS(fuzz_tls_start(&client, &trust, flags, io) == 0);
    crypto_tls_engine *e = crypto_tls_client_engine(&client);
    /* Each turn moves at least one byte, and a record that is read needs few more turns. */
    size_t turns = 0;
    while (turn(e, &input, flags, &asked)) {
        HOLDS(++turns < 100 + 4 * size);
    }
    crypto_tls_client_wipe(&client);
    return 0;
}
