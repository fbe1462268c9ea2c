/* SPDX-License-Identifier: MIT */
/* Salted sessions: the fixed vector (computed by an independent script, and confirmed by libtpms), and what a
 * listener or a changed bit achieves. */
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/session.h"
#include <string.h>

#define HANDLE 0x02000000

static const uint8_t session_key[] = {0x28, 0xc1, 0xa1, 0x09, 0x88, 0x3f, 0x16, 0x5c, 0x65, 0xf6, 0xe1,
                                      0xdb, 0x98, 0x48, 0x18, 0x5a, 0xcc, 0x86, 0x3b, 0x8b, 0x48, 0xc7,
                                      0xfd, 0xdd, 0xbe, 0xa8, 0xcf, 0x66, 0x6f, 0x83, 0x11, 0x79};
static const uint8_t encrypted[] = {0x8d, 0xd6, 0x96, 0x24, 0xfb, 0x5e, 0x80, 0x1c, 0x78, 0x1d,
                                    0x4a, 0x2c, 0xc8, 0x68, 0x65, 0xe0, 0xa2, 0x22, 0x3d};
static const uint8_t command_hmac[] = {0x21, 0x13, 0x9b, 0x23, 0x13, 0xa0, 0x71, 0xda, 0x7d, 0x83, 0x47,
                                       0x2d, 0xb7, 0xa8, 0xf0, 0x51, 0xfd, 0x51, 0x7b, 0xda, 0x88, 0x69,
                                       0x43, 0x80, 0x91, 0x05, 0x2b, 0xcb, 0xdc, 0xd5, 0x4a, 0xc1};
static const uint8_t response_hmac[] = {0x2c, 0x54, 0xdb, 0x9e, 0x95, 0xb4, 0x31, 0x84, 0x2d, 0xc9, 0x0c,
                                        0xe1, 0x96, 0x49, 0x19, 0x6c, 0x90, 0x1c, 0x4b, 0x31, 0x22, 0xf4,
                                        0xb3, 0xad, 0x2b, 0x96, 0xf7, 0xf1, 0xad, 0x69, 0x56, 0xf6};

static void fill(uint8_t out[32], uint8_t value)
{
    memset(out, value, 32);
}

static int begin(struct tpm2_session *s)
{
    uint8_t salt[32], caller[32], tpm[32];
    for (uint8_t i = 0; i < 32; i++) {
        salt[i] = i;
    }
    fill(caller, 0xb0);
    fill(tpm, 0xa0);
    const int error = tpm2_session_begin(s, HANDLE, salt, caller, bytes_of(tpm, sizeof tpm));
    fill(s->nonce_caller, 0xb1);
    return error;
}

/* The vector's command: code Import, one handle, and one parameter, "0123456789abcdefXYZ". */
static void build(struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_policy(HANDLE, true);
    bytes_write_u16(w, TPM2_ST_SESSIONS);
    bytes_write_u32(w, 0);
    bytes_write_u32(w, TPM2_CC_IMPORT);
    bytes_write_u32(w, 0x80000001);
    tpm2_auth_area_write(w, &auth, 1);
    bytes_write_2b(w, bytes_of_text("0123456789abcdefXYZ"));
}

static struct tpm2_protection protection(struct tpm2_session *s, const uint8_t name[34])
{
    return (struct tpm2_protection){
        .command_code = TPM2_CC_IMPORT,
        .names = {bytes_of(name, 34)},
        .name_count = 1,
        .uses = {{.session = s,
                  .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT,
                  .auth_value = bytes_of_text("pw"),
                  .auth_value_then = bytes_of_text("pw")}},
        .use_count = 1,
        .built = 1,
    };
}

static void name_of_vector(uint8_t name[34])
{
    memset(name, 0x11, 34);
    name[0] = 0x00;
    name[1] = 0x0b;
}

static int test_key(void)
{
    struct tpm2_session s;
    CHECK_EQUAL(begin(&s), 0);
    CHECK(s.keyed && memcmp(s.key, session_key, 32) == 0);
    return 0;
}

static int test_command(void)
{
    struct tpm2_session s;
    uint8_t buffer[256], name[34];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    CHECK_EQUAL(begin(&s), 0);
    name_of_vector(name);
    const struct tpm2_protection p = protection(&s, name);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK_EQUAL(w.error, 0);
    /* header, handle, size | handle, nonce, attributes, HMAC | parameter */
    CHECK_EQUAL(w.len, 10 + 4 + 4 + 4 + 34 + 1 + 34 + 2 + sizeof encrypted);
    CHECK(memcmp(buffer + 18 + 4 + 34 + 1 + 2, command_hmac, 32) == 0);
    CHECK(memcmp(buffer + w.len - sizeof encrypted, encrypted, sizeof encrypted) == 0);
    return 0;
}

/* The vector's response: parameters 0001ee. */
static size_t respond(uint8_t out[128])
{
    uint8_t tpm[32];
    struct bytes_writer w = bytes_writer_over(out, 128);
    fill(tpm, 0xa1);
    bytes_write_u16(&w, TPM2_ST_SESSIONS);
    bytes_write_u32(&w, 10 + 4 + 3 + 69);
    bytes_write_u32(&w, TPM2_RC_SUCCESS);
    bytes_write_u32(&w, 3);
    bytes_write_2b(&w, bytes_of("\xee", 1));
    bytes_write_2b(&w, bytes_of(tpm, sizeof tpm));
    bytes_write_u8(&w, TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT);
    bytes_write_2b(&w, bytes_of(response_hmac, sizeof response_hmac));
    return w.len;
}

static int test_response(void)
{
    struct tpm2_session s;
    uint8_t name[34], good[128], changed[128];
    name_of_vector(name);
    CHECK_EQUAL(begin(&s), 0);
    const struct tpm2_protection p = protection(&s, name);
    const struct tpm2_session before = s;
    const size_t whole = respond(good);

    /* Flip any bit that matters: the session must not advance. A flip of the response code makes it a refusal. */
    for (size_t bit = 0; bit < 8 * whole; bit++) {
        size_t len = whole;
        memcpy(changed, good, sizeof changed);
        changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        const bool code = bit / 8 >= 6 && bit / 8 < 10;
        CHECK((tpm2_session_open(changed, &len, &p) == 0) == code);
        CHECK(memcmp(s.nonce_tpm, before.nonce_tpm, sizeof s.nonce_tpm) == 0);
    }
    /* Cut off anywhere. */
    for (size_t cut = 0; cut < whole; cut++) {
        size_t len = cut;
        memcpy(changed, good, sizeof changed);
        CHECK(tpm2_session_open(changed, &len, &p) != 0);
    }
    size_t len = whole;
    CHECK(tpm2_session_open(good, &len, &p) == 0 && len == whole);
    CHECK_EQUAL(s.nonce_tpm[0], 0xa1);
    return 0;
}

static int test_limits(void)
{
    struct tpm2_session s;
    uint8_t buffer[256], name[34], value[TPM2_AUTH_VALUE_MAX + 2];
    name_of_vector(name);
    CHECK_EQUAL(begin(&s), 0);
    struct tpm2_protection p = protection(&s, name);
    for (size_t room = 0; room < 18 + 73 + 21; room++) {
        struct bytes_writer w = bytes_writer_over(buffer, room);
        build(&w);
        tpm2_session_protect(&w, &p);
        CHECK(w.error != 0);
    }
    /* Zeros at the end of an authValue are nothing; more than a digest is too long. */
    memset(value, 7, sizeof value);
    p.uses[0].auth_value = bytes_of(value, sizeof value);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    p.uses[0].auth_value = bytes_of("pw\0\0", 4);
    w = bytes_writer_over(buffer, sizeof buffer);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK(w.error == 0 && memcmp(buffer + 18 + 4 + 34 + 1 + 2, command_hmac, 32) == 0);
    return 0;
}

/* What is not a command with authorizations, or not the one that is meant, is not protected. */
static int test_other_commands(void)
{
    struct tpm2_session s;
    uint8_t buffer[256], name[34];
    name_of_vector(name);
    CHECK_EQUAL(begin(&s), 0);
    struct tpm2_protection p = protection(&s, name);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_read_public_build(&w, 0x80000001);
    tpm2_session_protect(&w, &p);
    CHECK_EQUAL(w.error, BYTES_E_FORMAT);
    p.command_code = TPM2_CC_LOAD;
    w = bytes_writer_over(buffer, sizeof buffer);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK_EQUAL(w.error, BYTES_E_FORMAT);
    /* Nothing to encrypt: no first parameter. */
    const struct tpm2_auth auth = tpm2_auth_policy(HANDLE, true);
    p.command_code = TPM2_CC_CLEAR;
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_clear_build(&w, TPM2_RH_LOCKOUT, &auth);
    tpm2_session_protect(&w, &p);
    CHECK_EQUAL(w.error, BYTES_E_FORMAT);
    return 0;
}

/* A nonce of another size begins no session; without a salt the authValue alone is the key; the HMAC of a policy
 * session leaves the authValue out, its encryption does not; and a first session's HMAC covers the sessions that
 * decrypt or encrypt for it. */
static int test_kinds(void)
{
    struct tpm2_session s, plain, policy;
    uint8_t buffer[512], other[512], nonce[32], name[34];
    fill(nonce, 0xb0);
    name_of_vector(name);
    CHECK_EQUAL(tpm2_session_begin(&s, HANDLE, NULL, nonce, bytes_of(nonce, 20)), BYTES_E_FORMAT);
    CHECK_EQUAL(tpm2_session_begin(&plain, HANDLE, NULL, nonce, bytes_of(nonce, sizeof nonce)), 0);
    CHECK(!plain.keyed);
    CHECK_EQUAL(begin(&policy), 0);
    policy.handle = 0x03000000;
    CHECK_EQUAL(begin(&s), 0);

    struct tpm2_protection p = protection(&policy, name);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK(w.error == 0 && memcmp(buffer + 18 + 4 + 34 + 1 + 2, command_hmac, 32) != 0);
    CHECK_EQUAL(memcmp(buffer + w.len - sizeof encrypted, encrypted, sizeof encrypted), 0);

    /* The first authorizes, the second decrypts, the third encrypts; then all is the first one's. */
    p = protection(&s, name);
    p.uses[0].attributes = TPM2_SESSION_CONTINUE;
    p.uses[1] = (struct tpm2_use){.session = &policy, .attributes = TPM2_SESSION_DECRYPT};
    p.uses[2] = (struct tpm2_use){.session = &plain, .attributes = TPM2_SESSION_ENCRYPT};
    p.use_count = 3;
    w = bytes_writer_over(buffer, sizeof buffer);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK(w.error == 0 && w.len == 18 + 3 * 73 + 2 + sizeof encrypted);
    policy.nonce_tpm[0] ^= 1;
    struct bytes_writer again = bytes_writer_over(other, sizeof other);
    build(&again);
    tpm2_session_protect(&again, &p);
    CHECK(again.error == 0 && memcmp(buffer + 59, other + 59, 32) != 0);
    /* One session that both decrypts and encrypts for the first counts once. */
    p.uses[1].attributes = TPM2_SESSION_DECRYPT | TPM2_SESSION_ENCRYPT;
    p.use_count = 2;
    w = bytes_writer_over(buffer, sizeof buffer);
    build(&w);
    tpm2_session_protect(&w, &p);
    CHECK_EQUAL(w.error, 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"the session's key comes from salt and both nonces, the TPM's first", test_key},
        {"a command is encrypted, then authorized", test_command},
        {"a response is accepted only if every bit is the TPM's", test_response},
        {"commands other than the expected one", test_other_commands},
        {"sessions without salt, of a policy, and several in a command", test_kinds},
        {"no room, authValues that are too long, zeros at their end", test_limits},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
