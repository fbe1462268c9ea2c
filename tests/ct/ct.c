/* SPDX-License-Identifier: MIT */
/* Constant time, under valgrind: a secret is marked as undefined memory, and every branch or address that depends on it
 * is an error of memcheck's. What becomes public is marked as defined again: the outputs, and the verdict of
 * bytes_equal_secret (the linker's --wrap puts verdict() around it; the comparison itself runs on undefined bytes).
 * An authValue is secret but for its last byte: trailing zeros do not count [P1 r1.59 19.6.4.3]. TAP. */
#include "crypto/crypto.h"
#include "crypto/rsa_compact.h"
#include "dps/device/record.h"
#include "dps/protocol/sas.h"
#include "tests/ct/nonce.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/frame.h"
#include "tpm/protect.h"
#include "tpm/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#define HANDLE 0x02000000
#define SECRET(object) (void)VALGRIND_MAKE_MEM_UNDEFINED(&(object), sizeof(object))
#define PUBLIC(object) (void)VALGRIND_MAKE_MEM_DEFINED(&(object), sizeof(object))

bool __real_bytes_equal_secret(const uint8_t *a, const uint8_t *b,
                               size_t len); /* NOLINT: the linker's name */
bool __wrap_bytes_equal_secret(const uint8_t *a, const uint8_t *b, size_t len); /* NOLINT */

bool __wrap_bytes_equal_secret(const uint8_t *a, const uint8_t *b, size_t len) /* NOLINT */
{
    bool verdict = __real_bytes_equal_secret(a, b, len);
    PUBLIC(verdict);
    return verdict;
}

static struct tpm2_public area_of(const unsigned char *whole, size_t len)
{
    struct tpm2_public area;
    if (tpm2_public_parse_2b(bytes_of(whole, len), &area) != 0) {
        abort();
    }
    return area;
}

static struct tpm2_wrap_random wrap_random(void)
{
    struct tpm2_wrap_random random;
    memset(&random, 0x5a, sizeof random);
    SECRET(random);
    return random;
}

/* ---- Cases: each returns whether the result is what it should be ------------------------------------------------- */

static bool comparison(void)
{
    uint8_t a[32] = {1}, b[32] = {1}, c[32] = {2};
    SECRET(a);
    return bytes_equal_secret(a, b, sizeof a) && !bytes_equal_secret(a, c, sizeof a);
}

static bool nonce(void)
{
    uint8_t derived[32];
    ct_derive_nonce(derived);
    PUBLIC(derived);
    return derived[0] != derived[1] || derived[1] != derived[2];
}

static bool token(void)
{
    struct dps_sas sas = {.sr = bytes_of_text("scope%2Fregistrations%2Fid"),
                          .se = bytes_of_text("1700000000")};
    uint8_t key[32];
    memset(key, 7, sizeof key);
    SECRET(key);
    return !dps_sas_signed_with(&sas, bytes_of(key, sizeof key));
}

static void begin(struct tpm2_session *s)
{
    uint8_t salt[32], caller[32], tpm[32];
    for (uint8_t i = 0; i < 32; i++) {
        salt[i] = i;
    }
    memset(caller, 0xb0, sizeof caller);
    memset(tpm, 0xa0, sizeof tpm);
    SECRET(salt);
    if (tpm2_session_begin(s, HANDLE, salt, caller, bytes_of(tpm, sizeof tpm)) != 0) {
        abort();
    }
    memset(s->nonce_caller, 0xb1, sizeof s->nonce_caller);
}

static struct tpm2_protection protection(struct tpm2_session *s, const uint8_t auth_value[2])
{
    static const uint8_t name[34] = {0, 0x0b, 0x11};
    const struct bytes value = bytes_of(auth_value, 2);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(auth_value, 1);
    return (struct tpm2_protection){
        .command_code = TPM2_CC_IMPORT,
        .names = {bytes_of(name, sizeof name)},
        .name_count = 1,
        .uses = {{.session = s,
                  .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT | TPM2_SESSION_ENCRYPT,
                  .auth_value = value,
                  .auth_value_then = value}},
        .use_count = 1,
        .built = 1,
    };
}

static bool session_command(void)
{
    struct tpm2_session s;
    uint8_t buffer[256], auth_value[2] = {'p', 'w'}, parameter[19] = {1, 2, 3};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    const struct tpm2_auth auth = tpm2_auth_policy(HANDLE, true);
    begin(&s);
    const struct tpm2_protection p = protection(&s, auth_value);
    SECRET(parameter);
    tpm2_command_begin_authorized(&w, TPM2_CC_IMPORT, 0x80000001, &auth);
    bytes_write_2b(&w, bytes_of(parameter, sizeof parameter));
    tpm2_command_end(&w);
    tpm2_session_protect(&w, &p);
    return w.error == 0;
}

/* The answer with the right HMAC is made by the same key: what session_open computes stands where a TPM's would. */
static void answer(struct bytes_writer *w, const struct tpm2_session *s, const uint8_t auth_value[2])
{
    static const uint8_t codes[8] = {0, 0, 0, 0, 0, 0, 1, TPM2_CC_IMPORT & 0xFF};
    static const uint8_t parameters[3] = {0, 1, 0xee};
    uint8_t key[34], nonce_tpm[32], hash[32], mac[32];
    const uint8_t attributes = TPM2_SESSION_CONTINUE;
    memset(nonce_tpm, 0xa1, sizeof nonce_tpm);
    memcpy(key, s->key, 32);
    memcpy(key + 32, auth_value, 2);
    crypto_sha256((const struct bytes[]){bytes_of(codes, 8), bytes_of(parameters, 3)}, 2, hash);
    const struct bytes pieces[4] = {bytes_of(hash, 32), bytes_of(nonce_tpm, 32),
                                    bytes_of(s->nonce_caller, 32), bytes_of(&attributes, 1)};
    crypto_hmac_sha256(bytes_of(key, sizeof key), pieces, 4, mac);
    PUBLIC(mac); /* it has been on the bus */
    bytes_write_u16(w, TPM2_ST_SESSIONS);
    bytes_write_u32(w, 10 + 4 + 3 + 69);
    bytes_write_u32(w, TPM2_RC_SUCCESS);
    bytes_write_u32(w, 3);
    bytes_write_bytes(w, bytes_of(parameters, 3));
    bytes_write_2b(w, bytes_of(nonce_tpm, 32));
    bytes_write_u8(w, attributes);
    bytes_write_2b(w, bytes_of(mac, 32));
}

static bool session_response(void)
{
    struct tpm2_session s;
    uint8_t buffer[128], auth_value[2] = {'p', 'w'};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    begin(&s);
    const struct tpm2_protection p = protection(&s, auth_value);
    answer(&w, &s, auth_value);
    size_t len = w.len;
    return tpm2_session_open(buffer, &len, &p) == 0;
}

static bool seed(void)
{
    const struct tpm2_public key = area_of(vector_ek_public_2b, sizeof vector_ek_public_2b);
    const struct tpm2_wrap_random random = wrap_random();
    uint8_t buffer[300], out[TPM2_SEED_SIZE];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_seed_wrap(&w, &key, TPM2_SEED_SECRET, &random, out);
    return w.error == 0;
}

static bool compact(void)
{
    const struct tpm2_public key = area_of(vector_ek_public_2b, sizeof vector_ek_public_2b);
    const struct crypto_rsa_public rsa = tpm2_public_rsa(&key);
    const struct tpm2_wrap_random random = wrap_random();
    uint8_t out[CRYPTO_RSA_COMPACT_MAX];
    return crypto_rsa_oaep_compact(&rsa, tpm2_seed_label(TPM2_SEED_SECRET), random.oaep,
                                   bytes_of(random.seed, sizeof random.seed), out) == 0;
}

static bool credential(void)
{
    const struct tpm2_public key = area_of(vector_ek_public_2b, sizeof vector_ek_public_2b);
    const struct tpm2_wrap_random random = wrap_random();
    uint8_t buffer[512], inner_key[16] = {3}, name[34] = {4};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    SECRET(inner_key);
    tpm2_credential_make(&w, &key, bytes_of(inner_key, sizeof inner_key), bytes_of(name, sizeof name),
                         &random);
    return w.error == 0;
}

static bool duplicate(void)
{
    const struct tpm2_public parent = area_of(vector_srk_public_2b, sizeof vector_srk_public_2b);
    const struct tpm2_wrap_random random = wrap_random();
    uint8_t buffer[512], inner_key[16] = {3}, name[34] = {4}, seed_value[32] = {5}, key[32] = {6};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    SECRET(inner_key);
    SECRET(seed_value);
    SECRET(key);
    const struct tpm2_sensitive sensitive = {bytes_of(seed_value, sizeof seed_value),
                                             bytes_of(key, sizeof key)};
    tpm2_duplicate_make(&w, &parent, bytes_of(inner_key, sizeof inner_key), bytes_of(name, sizeof name),
                        &sensitive, &random);
    return w.error == 0;
}

static bool record(void)
{
    static const struct dps_device_config config = {.id_scope = "scope"};
    static struct dps_device saved, loaded;
    uint8_t buffer[DPS_RECORD_FILE_MAX];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    saved.config = &config;
    saved.wrapped_key_len = 160;
    SECRET(saved.wrapped_key);
    dps_record_write(&w, &saved);
    return w.error == 0 && dps_record_read(bytes_written(&w), &loaded) == 0 && loaded.wrapped_key_len == 160;
}

static const struct {
    const char *name;
    bool (*run)(void);
} cases[] = {
    {"bytes_equal_secret: both sides", comparison},
    {"dps/service: the nonce, from the service's secret", nonce},
    {"dps_sas_signed_with: the key", token},
    {"tpm2_session_begin and _protect: salt, key, authValue, first parameter", session_command},
    {"tpm2_session_open: key, authValue, the decrypted parameter", session_response},
    {"tpm2_seed_wrap: the seed and OAEP's random bytes", seed},
    {"crypto_rsa_oaep_compact: the message and OAEP's random bytes", compact},
    {"tpm2_credential_make: the inner key", credential},
    {"tpm2_duplicate_make: inner key, seedValue, the key itself", duplicate},
    {"dps_record_write and _read: the wrapped key", record},
};

int main(void)
{
    const size_t count = sizeof cases / sizeof cases[0];
    int failed = 0;
    if (RUNNING_ON_VALGRIND == 0) {
        puts("Bail out! This test means something under valgrind only: make ct");
        return 1;
    }
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        const unsigned before = (unsigned)VALGRIND_COUNT_ERRORS;
        const bool right = cases[i].run();
        const bool quiet = before == (unsigned)VALGRIND_COUNT_ERRORS;
        failed += !right || !quiet;
        printf("%s %zu - %s\n", right && quiet ? "ok" : "not ok", i + 1, cases[i].name);
        if (!right) {
            puts("# the result is wrong");
        }
        if (!quiet) {
            puts("# a branch or an address depends on a secret: valgrind says above where");
        }
    }
    return failed != 0;
}
