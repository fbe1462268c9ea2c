/* SPDX-License-Identifier: MIT */
#include "tests/conformance/service.h"

int service_spoil(struct service_link *l, const char *host)
{
    static const uint16_t static_rsa[] = {BR_TLS_RSA_WITH_AES_128_GCM_SHA256,
                                          BR_TLS_RSA_WITH_AES_128_CBC_SHA256,
                                          BR_TLS_RSA_WITH_AES_128_CBC_SHA};
    static const uint16_t of_that_time[] = {BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
                                            BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
                                            BR_TLS_RSA_WITH_AES_128_CBC_SHA};
    crypto_tls_engine *e = crypto_tls_client_engine(&l->tls);
    br_ssl_engine_set_default_aes_cbc(e);
    br_ssl_engine_set_hash(e, br_md5_ID, &br_md5_vtable);
    br_ssl_engine_set_hash(e, br_sha1_ID, &br_sha1_vtable);
    br_ssl_engine_set_prf10(e, &br_tls10_prf);
    br_ssl_client_set_default_rsapub(&l->tls.client);
    if (l->static_rsa) {
        br_ssl_engine_set_suites(e, static_rsa, COUNT(static_rsa));
    } else {
        br_ssl_engine_set_versions(e, BR_TLS10, l->versions_max);
        br_ssl_engine_set_suites(e, of_that_time, COUNT(of_that_time));
    }
    return br_ssl_client_reset(&l->tls.client, host, 0) == 1 ? 0 : BYTES_E_TLS;
}
