/* SPDX-License-Identifier: MIT */
/* What ended a connection: BearSSL's error numbers (BR_ERR_..., whichever library it is) and those of
 * crypto/tls_chain.h. */
#ifndef CRYPTO_TLS_ERROR_H
#define CRYPTO_TLS_ERROR_H

#include <bearssl.h>

/* A sentence that says what was wrong with the peer ("the certificate is for another host name"); never null. The
 * engine itself never reports BR_ERR_IO (31): it is there for drivers that want the sentence of a connection that ended
 * too early. */
const char *crypto_tls_error_text(int error);

#endif
