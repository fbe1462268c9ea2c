/* SPDX-License-Identifier: MIT */
#include "tests/conformance/service.h"
#include <openssl/ssl.h>

int service_spoil(struct service_link *l, const char *host)
{
    crypto_tls_engine *e = crypto_tls_client_engine(&l->tls);
    const char *suites = l->static_rsa ? "AES128-GCM-SHA256:AES128-SHA256:AES128-SHA"
                                       : "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA";
    const int newest = l->static_rsa ? TLS1_2_VERSION : (int)l->versions_max;
    (void)host; /* it stays */
    e->out_len = e->out_taken = 0;
    (void)SSL_clear(e->ssl);
    SSL_set_security_level(e->ssl, 0);
    if (SSL_set_min_proto_version(e->ssl, TLS1_VERSION) != 1 ||
        SSL_set_max_proto_version(e->ssl, newest) != 1 || SSL_set_cipher_list(e->ssl, suites) != 1) {
        return BYTES_E_TLS;
    }
    SSL_set_connect_state(e->ssl);
    return SSL_get_error(e->ssl, SSL_do_handshake(e->ssl)) == SSL_ERROR_WANT_READ ? 0 : BYTES_E_TLS;
}
