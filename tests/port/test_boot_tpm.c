/* SPDX-License-Identifier: MIT */
/* What a boot loader does with a TPM (port/u-boot/boot_tpm.h), in any order, with any command failing. */
#include "port/u-boot/boot_tpm.h"
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include <stdio.h>
#include <string.h>

#define TRANSIENT UINT32_C(0x80000000)
#define SESSIONS UINT32_C(0x02000000)
#define FIRST_NONCE_AT 18 /* in TPM2_StartAuthSession: header, two handles, nonceCaller's size before it */

static const uint8_t secret[] = "a disk key";
static const struct bytes nothing = {0};
static struct uboot_tpm boot;
static uint8_t blob[600];
static size_t blob_len;

/* The bus: what crossed it, and which command is refused, or answered with a bit changed. */
static struct {
    unsigned count, refuse, change;
    size_t change_at;
    uint8_t nonce[TPM2_NONCE_SIZE]; /* the last session's */
    uint8_t random[32];             /* what the TPM gave last */
} bus;

static int transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms)
{
    const struct port_tpm real = posix_tpm_port(context);
    const uint8_t code = command.p[9];
    bus.count++;
    if (bus.count == bus.refuse) {
        static const uint8_t failure[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01};
        memcpy(response, failure, sizeof failure);
        *response_len = sizeof failure;
        return 0;
    }
    if (code == (TPM2_CC_START_AUTH_SESSION & 0xFF)) {
        memcpy(bus.nonce, command.p + FIRST_NONCE_AT + 2, sizeof bus.nonce);
    }
    const int error = real.transact(real.context, command, response, capacity, response_len, timeout_ms);
    if (error == 0 && bus.count == bus.change && bus.change_at < *response_len) {
        response[bus.change_at] ^= 1;
    }
    if (error == 0 && code == (TPM2_CC_GET_RANDOM & 0xFF)) {
        memcpy(bus.random, response + 12, sizeof bus.random);
    }
    return error;
}

static int sleep_ms(void *context, uint32_t ms)
{
    (void)context, (void)ms;
    return 0;
}

static void begin(void)
{
    memset(&bus, 0, sizeof bus);
    boot = (struct uboot_tpm){.tpm = {&tpm_call.tpm, transact}, .clock = {.sleep_ms = sleep_ms}};
}

/* How many there are in the TPM from this handle on, and which is the first. */
static uint32_t loaded_from(uint32_t first, uint32_t *handle)
{
    bool more;
    uint32_t capability;
    struct bytes data;
    struct bytes_writer w = tpm_call_begin();
    *handle = 0;
    tpm2_get_capability_build(&w, TPM2_CAP_HANDLES, first, 32);
    if (tpm_call_send(&w) != 0 ||
        tpm2_get_capability_parse(tpm_call_answer(), &tpm_call.rc, &more, &capability, &data) != 0) {
        return UINT32_MAX;
    }
    struct bytes_reader r = bytes_reader_over(data);
    const uint32_t count = bytes_read_u32(&r);
    *handle = bytes_read_u32(&r);
    return count;
}

static uint32_t loaded(uint32_t first)
{
    uint32_t handle;
    return loaded_from(first, &handle);
}

static int flush_all(uint32_t first)
{
    uint32_t handle;
    while (loaded_from(first, &handle) > 0) {
        CHECK_EQUAL(tpm_call_flush(handle), 0);
    }
    return 0;
}

static int nothing_is_left(void)
{
    CHECK_EQUAL(loaded(TRANSIENT), 0);
    CHECK_EQUAL(loaded(SESSIONS), 0);
    CHECK(test_is_zero(&boot, sizeof boot));
    return 0;
}

/* What dps-device seal makes. */
static int seal(void)
{
    static struct tpm_call_key srk;
    struct bytes private_2b, public_2b;
    const struct tpm2_auth auth = tpm2_auth_password(nothing);
    const struct tpm2_public area = tpm2_template_sealed_data();
    CHECK_EQUAL(tpm_call_make(&srk, TPM2_RH_OWNER, tpm2_template_srk(), nothing), 0);
    struct bytes_writer w = tpm_call_begin();
    tpm2_create_build(&w, srk.handle, &auth, nothing, bytes_of(secret, sizeof secret), &area);
    CHECK_EQUAL(tpm_call_send(&w), 0);
    CHECK_EQUAL(tpm2_create_parse(tpm_call_answer(), &tpm_call.rc, &private_2b, &public_2b), 0);
    struct bytes_writer to = bytes_writer_over(blob, sizeof blob);
    bytes_write_bytes(&to, private_2b);
    bytes_write_bytes(&to, public_2b);
    CHECK_EQUAL(to.error, 0);
    blob_len = to.len;
    return tpm_call_flush(srk.handle);
}

static int power_on(const char *directory)
{
    char name[300];
    snprintf(name, sizeof name, "libtpms:%s", support_path(directory));
    CHECK_EQUAL(tpm_call_open(&tpm_call.tpm, name), 0);
    return seal();
}

static int unseal(struct bytes seed, uint8_t out[UBOOT_SEALED_MAX])
{
    size_t len;
    const int error = uboot_tpm_unseal(&boot, seed, bytes_of(blob, blob_len), out, &len);
    if (error != 0) {
        CHECK(len == 0 && test_is_zero(out, UBOOT_SEALED_MAX));
        return error;
    }
    CHECK(len == sizeof secret && memcmp(out, secret, len) == 0);
    CHECK(test_is_zero(out + len, UBOOT_SEALED_MAX - len));
    return 0;
}

/* Never more than a key, an object and a session: a TPM need not have room for more than three objects. */
static int one_after_the_other(void)
{
    uint8_t out[UBOOT_SEALED_MAX];
    const struct bytes seed = bytes_of("sixteen bytes...", 16);
    CHECK_EQUAL(power_on("boot-order"), 0);
    begin();
    CHECK_EQUAL(uboot_tpm_startup(&boot), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(uboot_tpm_ek(&boot), 0);
        CHECK_EQUAL(uboot_tpm_srk(&boot), 0);
        CHECK_EQUAL(loaded(TRANSIENT), (i == 0 ? 1U : 2U)); /* the key; and what was unsealed */
        for (int k = 0; k < 3; k++) {
            CHECK_EQUAL(unseal(seed, out), 0);
            CHECK(loaded(TRANSIENT) == 2 && loaded(SESSIONS) == 0);
        }
        /* Begun, and not ended. */
        bus.refuse = bus.count + 5;
        CHECK(unseal(seed, out) == BYTES_E_TPM_RC && boot.code == TPM2_CC_UNSEAL);
        CHECK(loaded(TRANSIENT) == 2 && loaded(SESSIONS) == 1);
        CHECK_EQUAL(unseal(seed, out), 0);
        CHECK(loaded(TRANSIENT) == 2 && loaded(SESSIONS) == 0);
    }
    uboot_tpm_end(&boot);
    CHECK_EQUAL(nothing_is_left(), 0);
    posix_tpm_close(&tpm_call.tpm);
    return 0;
}

static int run(uint8_t out[UBOOT_SEALED_MAX])
{
    int error = uboot_tpm_srk(&boot);
    memset(out, 0, UBOOT_SEALED_MAX);
    if (error == 0) {
        error = unseal(bytes_of("sixteen bytes...", 16), out);
    }
    return error;
}

static int anything_fails(void)
{
    uint8_t out[UBOOT_SEALED_MAX];
    CHECK_EQUAL(power_on("boot-fails"), 0);
    begin();
    CHECK_EQUAL(run(out), 0);
    const unsigned commands = bus.count;
    uboot_tpm_end(&boot);
    CHECK_EQUAL(nothing_is_left(), 0);
    for (unsigned n = 1; n <= commands; n++) {
        begin();
        bus.refuse = n;
        CHECK_EQUAL(run(out), BYTES_E_TPM_RC);
        uboot_tpm_end(&boot);
        CHECK_EQUAL(nothing_is_left(), 0);
        /* Tag, size, code; and after the handle, which is right. */
        for (size_t at = 0; at < 60; at = at == 9 ? 14 : at + 3) {
            begin();
            bus.change = n;
            bus.change_at = at;
            (void)run(out);
            const bool handle_lost = at >= 6 && at < 10; /* the TPM is said to have refused */
            uboot_tpm_end(&boot);
            if (!handle_lost) {
                CHECK_EQUAL(nothing_is_left(), 0);
            }
            CHECK(flush_all(TRANSIENT) == 0 && flush_all(SESSIONS) == 0);
        }
    }
    posix_tpm_close(&tpm_call.tpm);
    return 0;
}

/* The salt comes of the bytes that the caller gave, also if they stand where the secret goes. */
static int seed_where_the_secret_goes(void)
{
    uint8_t memory[UBOOT_SEALED_MAX] = "never on the bus", nonce[TPM2_NONCE_SIZE];
    struct tpm2_wrap_random random;
    struct crypto_drbg drbg;
    CHECK_EQUAL(power_on("boot-seed"), 0);
    begin();
    CHECK_EQUAL(uboot_tpm_srk(&boot), 0);
    CHECK_EQUAL(unseal(bytes_of(memory, 16), memory), 0);
    crypto_drbg_init(&drbg, bytes_of("never on the bus", 16));
    crypto_drbg_update(&drbg, bytes_of(bus.random, sizeof bus.random));
    crypto_drbg_generate(&drbg, random.seed, sizeof random.seed);
    crypto_drbg_generate(&drbg, random.oaep, sizeof random.oaep);
    crypto_drbg_generate(&drbg, nonce, sizeof nonce);
    CHECK(memcmp(bus.nonce, nonce, sizeof nonce) == 0);
    uboot_tpm_end(&boot);
    CHECK_EQUAL(nothing_is_left(), 0);
    posix_tpm_close(&tpm_call.tpm);
    return 0;
}

static const struct test tests[] = {
    {"any order, any number of times: what is loaded does not grow, and nothing is left",
     one_after_the_other},
    {"any command refused, or answered with a bit changed: nothing is left", anything_fails},
    {"a secret_seed that stands where the secret goes counts", seed_where_the_secret_goes},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
