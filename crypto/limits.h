/* SPDX-License-Identifier: MIT */
/* The options and buffers of TLS and of what it uses: default, meaning and cost. Each can be set with -D.
 * dps/protocol/limits.h, dps/device/limits.h, dps/service/limits.h and port/limits.h have those of their folders.
 *
 * Sizes are bytes unless the name says otherwise. RAM is that of the structures which the caller allocates; flash is
 * text on a Cortex-M3 (make size). Options are 0 or 1 and select whole functions or files. Settings that contradict
 * each other are refused at the end of the file that has them, when it is compiled. */
#ifndef CRYPTO_LIMITS_H
#define CRYPTO_LIMITS_H

/* ---- Profiles: defaults for what follows, each of which can still be set by itself ------------------------------- */

/* TLS for a small flash: AES-GCM only, and compact arithmetic. Saves 11 KB of flash; handshakes are slower. */
#ifndef CRYPTO_PROFILE_SMALL_TLS
#define CRYPTO_PROFILE_SMALL_TLS 0
#endif

/* Certificates with RSA keys only, as the real service has them. Saves 0.9 KB of flash; the elliptic curves of the key
 * exchange remain. */
#ifndef CRYPTO_PROFILE_RSA_ONLY
#define CRYPTO_PROFILE_RSA_ONLY 0
#endif

/* ---- Options ----------------------------------------------------------------------------------------------------- */

/* TLS with RSA certificates; with EC certificates (P-256, P-384). At least one. Flash: RSA 1.1 KB, EC 0.9 KB. */
#ifndef CRYPTO_TLS_RSA
#define CRYPTO_TLS_RSA 1
#endif
#ifndef CRYPTO_TLS_EC
#define CRYPTO_TLS_EC (!CRYPTO_PROFILE_RSA_ONLY)
#endif

/* Ciphers: ChaCha20-Poly1305, the faster one without AES instructions; AES-GCM (128 and 256 bits), which every server
 * has. One of them at least. Flash: ChaCha20-Poly1305 2.4 KB, AES-GCM 3.7 KB. */
#ifndef CRYPTO_TLS_CHACHA20
#define CRYPTO_TLS_CHACHA20 (!CRYPTO_PROFILE_SMALL_TLS)
#endif
#ifndef CRYPTO_TLS_AES_GCM
#define CRYPTO_TLS_AES_GCM 1
#endif

/* BearSSL's compact arithmetic ("i15") for curves and RSA instead of the fastest for the processor: P-256, P-384 and
 * P-521 from one code, no X25519. Flash: 9 KB less. */
#ifndef CRYPTO_TLS_COMPACT
#define CRYPTO_TLS_COMPACT CRYPTO_PROFILE_SMALL_TLS
#endif

/* RSA encryption for the TPM part (the salt of a session) with arithmetic of our own instead of BearSSL's: 1.4 KB less
 * stack and 3.5 KB less flash, for keys of at most 2048 bits, a multiple of 16. TLS is not changed by it, and needs
 * BearSSL's for certificates with RSA. */
#ifndef CRYPTO_RSA_COMPACT
#define CRYPTO_RSA_COMPACT 0
#endif

/* ---- Buffers: RAM ------------------------------------------------------------------------------------------------ */

/* The buffer that crypto_tls_client_start takes at least: a TLS record, 16 384 of content and 325 of framing. Less is
 * possible only with servers that know the max_fragment_length extension [RFC 6066 4]: 4421, 2373, 1349 or 837. */
#ifndef CRYPTO_TLS_BUFFER_MIN
#define CRYPTO_TLS_BUFFER_MIN 16709
#endif

/* Trust anchors, in struct crypto_tls_client: how many may have one name (the keys of a CA that was renewed), 40 bytes
 * each, and room for their names and keys: 150 bytes for P-256, 700 for RSA-4096. Other certificates of the trusted
 * text take no room. */
#ifndef CRYPTO_TRUST_ANCHORS_MAX
#define CRYPTO_TRUST_ANCHORS_MAX 4
#endif
#ifndef CRYPTO_TRUST_STORAGE
#define CRYPTO_TRUST_STORAGE (CRYPTO_TRUST_ANCHORS_MAX * 768)
#endif

/* A server's certificate chain: certificates, and bytes for them and the key. */
#define CRYPTO_CHAIN_MAX 4
#define CRYPTO_CHAIN_STORAGE 8192

/* A host name [RFC 1035 2.3.4]. */
#define CRYPTO_HOST_MAX 253

/* ---- Release --------------------------------------------------------------------------------------------------- */

/* The day of this release, in seconds since 1970: 2026-01-01. A device without a clock knows that it is later. */
#ifndef CRYPTO_TLS_TIME_FLOOR
#define CRYPTO_TLS_TIME_FLOOR UINT64_C(1767225600)
#endif

/* ---- Contradictions ---------------------------------------------------------------------------------------------- */

#if (CRYPTO_TLS_RSA | CRYPTO_TLS_EC | CRYPTO_TLS_CHACHA20 | CRYPTO_TLS_AES_GCM | CRYPTO_TLS_COMPACT |        \
     CRYPTO_RSA_COMPACT) &                                                                                   \
    ~1
#error "crypto/limits.h: an option of CRYPTO_TLS_ or CRYPTO_RSA_ is neither 0 nor 1"
#endif
#if (CRYPTO_PROFILE_SMALL_TLS | CRYPTO_PROFILE_RSA_ONLY) & ~1
#error "crypto/limits.h: a profile of CRYPTO_PROFILE_ is neither 0 nor 1"
#endif
#if !CRYPTO_TLS_RSA && !CRYPTO_TLS_EC
#error "crypto/limits.h: neither CRYPTO_TLS_RSA nor CRYPTO_TLS_EC: no certificate could be verified"
#endif
#if CRYPTO_PROFILE_RSA_ONLY && (!CRYPTO_TLS_RSA || CRYPTO_TLS_EC)
#error "crypto/limits.h: CRYPTO_PROFILE_RSA_ONLY contradicts CRYPTO_TLS_RSA or CRYPTO_TLS_EC"
#endif
#if !CRYPTO_TLS_CHACHA20 && !CRYPTO_TLS_AES_GCM
#error "crypto/limits.h: neither CRYPTO_TLS_CHACHA20 nor CRYPTO_TLS_AES_GCM: no cipher"
#endif
#if CRYPTO_TLS_BUFFER_MIN < 837
#error "crypto/limits.h: CRYPTO_TLS_BUFFER_MIN is below the smallest max_fragment_length of TLS"
#endif
#if CRYPTO_TRUST_ANCHORS_MAX < 1 || CRYPTO_TRUST_STORAGE < 400
#error "crypto/limits.h: no trust anchor fits: CRYPTO_TRUST_ANCHORS_MAX, CRYPTO_TRUST_STORAGE"
#endif

#endif
