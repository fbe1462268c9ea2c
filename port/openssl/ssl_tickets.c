/* SPDX-License-Identifier: MIT */
/* The keys of tickets, which all processes of a node share, so that each resumes what another one began. */
#include "port/openssl/ssl.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#define MAKES_SECONDS UINT64_C(3600)
#define OPENS_SECONDS (2 * MAKES_SECONDS)

void crypto_tls_cache_init(struct crypto_tls_cache *cache, uint8_t *storage, size_t storage_len,
                           const struct crypto_lock *lock)
{
    (void)storage, (void)storage_len;
    memset(cache, 0, sizeof *cache);
    cache->lock = lock != NULL ? *lock : (struct crypto_lock){0};
}

/* Of a clock that was set back nothing is known but that the key is old. */
static bool is_younger(const struct crypto_tls_ticket_key *key, uint64_t now, uint64_t seconds)
{
    return key->made != 0 && now >= key->made && now - key->made < seconds;
}

static bool key_make(struct crypto_tls_ticket_key *key, uint64_t now)
{
    key->made = now;
    return RAND_bytes(key->name, sizeof key->name) == 1 &&
           RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
           RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
}

/* Make, rotate and wipe what the time demands. Returns: whether there is a key for new tickets. */
static bool keys_refresh(struct crypto_tls_ticket_key keys[2], uint64_t now)
{
    bool made = true;
    if (!is_younger(&keys[0], now, MAKES_SECONDS)) {
        keys[1] = keys[0];
        made = key_make(&keys[0], now);
        if (!made) {
            bytes_wipe(&keys[0], sizeof keys[0]);
        }
    }
    if (!is_younger(&keys[1], now, OPENS_SECONDS)) {
        bytes_wipe(&keys[1], sizeof keys[1]);
    }
    return made;
}

/* Returns: which of the keys it is, or -1. */
static int key_find(const struct crypto_tls_ticket_key keys[2], const unsigned char name[16])
{
    for (int i = 0; i < 2; i++) {
        if (keys[i].made != 0 && memcmp(keys[i].name, name, sizeof keys[i].name) == 0) {
            return i;
        }
    }
    return -1;
}

static bool key_use(const struct crypto_tls_ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int make)
{
    char digest[] = "SHA256";
    const OSSL_PARAM settings[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return (make == 0 || RAND_bytes(iv, 16) == 1) &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, make) == 1 &&
           EVP_MAC_init(mac, key->mac, sizeof key->mac, settings) == 1;
}

/* Returns, as SSL_CTX_set_tlsext_ticket_key_evp_cb(3) says: 1; 0: no such key, so make a full handshake; 2: as 1, but
 * make a new ticket; -1: it failed. */
int crypto_ssl_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int make)
{
    const crypto_tls_engine *e = SSL_get_app_data(ssl);
    struct crypto_tls_ticket_key key = {0};
    if (e->cache == NULL) {
        return 0;
    }
    crypto_lock_take(&e->cache->lock);
    const bool fresh = keys_refresh(e->cache->keys, (uint64_t)time(NULL));
    const int which = make != 0 ? (fresh ? 0 : -1) : key_find(e->cache->keys, name);
    if (which >= 0) {
        key = e->cache->keys[which];
    }
    crypto_lock_leave(&e->cache->lock);
    if (which < 0) {
        return make != 0 ? -1 : 0;
    }
    if (make != 0) {
        memcpy(name, key.name, sizeof key.name);
    }
    const bool used = key_use(&key, iv, cipher, mac, make);
    bytes_wipe(&key, sizeof key);
    return !used ? -1 : which == 0 ? 1 : 2;
}
