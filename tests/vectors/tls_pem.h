/* SPDX-License-Identifier: MIT */
/* Certificates and keys for the TLS tests; tls_pem.c says how they were made. Test keys: worthless anywhere else. */
#ifndef TESTS_VECTORS_TLS_PEM_H
#define TESTS_VECTORS_TLS_PEM_H

/* trust anchor: CN=tpm-dps test CA, EC P-256 */
extern const char vector_tls_ca[];
/* a CA that signed none of the others */
extern const char vector_tls_other_ca[];
/* dps.example, *.fleet.example and 192.0.2.7 as dNSName; EC P-256 */
extern const char vector_tls_ec_leaf[];
/* its key */
extern const char vector_tls_ec_key_sec1[];
/* the same */
extern const char vector_tls_ec_key_pkcs8[];
/* the same under the password "test" */
extern const char vector_tls_ec_key_encrypted[];
/* rsa.example as dNSName, 192.0.2.7 as iPAddress; RSA-2048 */
extern const char vector_tls_rsa_leaf[];
/* its key */
extern const char vector_tls_rsa_key_pkcs8[];
/* the same */
extern const char vector_tls_rsa_key_pkcs1[];
/* self-signed, of an algorithm that is not supported */
extern const char vector_tls_ed25519_leaf[];
/* a key on P-521, which identities may not have */
extern const char vector_tls_p521_key[];

#endif
