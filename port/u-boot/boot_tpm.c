/* SPDX-License-Identifier: MIT */
#include "port/u-boot/boot_tpm.h"
#include "tpm/command.h"
#include "tpm/rc.h"
#include <string.h>

#define CODE_AT 6 /* in a header: after tag and size */
#define RANDOM_SIZE 32
/* A TPM that tests itself, or was disturbed, wants the same bytes again. */
#define AGAIN_MAX 100
#define AGAIN_MS 20

static struct bytes_writer command_of(struct uboot_tpm *t)
{
    return bytes_writer_over(t->command, sizeof t->command);
}

static uint32_t code_of(struct bytes message)
{
    struct bytes_reader r = bytes_reader_over(message);
    bytes_skip(&r, CODE_AT);
    return bytes_read_u32(&r);
}

/* Send what was built. *answer views t->response. */
static int ask(struct uboot_tpm *t, const struct bytes_writer *w, struct bytes *answer)
{
    const struct bytes command = bytes_written(w);
    int error = w->error;
    t->code = code_of(command);
    for (unsigned i = 0; i < AGAIN_MAX && error == 0; i++) {
        size_t len = 0;
        error = t->tpm.transact(t->tpm.context, command, t->response, sizeof t->response, &len,
                                PORT_TPM_TIMEOUT_MS);
        *answer = bytes_of(t->response, len);
        t->commands++;
        if (error != 0 || !tpm2_rc_decode(code_of(*answer)).retry) {
            break;
        }
        error = t->clock.sleep_ms(t->clock.context, AGAIN_MS);
    }
    return error;
}

/* Before a handle is replaced, or at the end. If the TPM does not answer, nothing can be done about it. */
static void flush(struct uboot_tpm *t, uint32_t *handle)
{
    struct bytes answer;
    struct bytes_writer w = command_of(t);
    tpm2_flush_context_build(&w, *handle);
    if (*handle != 0) {
        (void)ask(t, &w, &answer);
    }
    *handle = 0;
}

int uboot_tpm_startup(struct uboot_tpm *t)
{
    struct bytes answer;
    struct bytes_writer w = command_of(t);
    tpm2_startup_build(&w, TPM2_SU_CLEAR);
    int error = ask(t, &w, &answer);
    if (error == 0) {
        error = tpm2_startup_parse(answer, &t->rc);
    }
    return error == BYTES_E_TPM_RC && t->rc == TPM2_RC_INITIALIZE ? 0 : error;
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* Is it the key of this template? Then it is kept: the next answer overwrites this one. */
static int keep(struct uboot_tpm *t, const struct tpm2_public *template_area, uint32_t handle,
                struct bytes public_2b)
{
    struct tpm2_public area;
    const int error = tpm2_public_parse_2b(public_2b, &area);
    if (error != 0) {
        return error;
    }
    if (!tpm2_public_matches(&area, template_area) || public_2b.len > sizeof t->public_2b) {
        return BYTES_E_ALGORITHM;
    }
    memcpy(t->public_2b, public_2b.p, public_2b.len);
    t->public_len = public_2b.len;
    tpm2_name_of(public_2b, t->name);
    t->key = handle;
    return 0;
}

/* BYTES_E_ALGORITHM: what stands there is somebody else's; BYTES_E_NOT_FOUND: nothing does. */
static int read_persistent(struct uboot_tpm *t, const struct tpm2_public *template_area, uint32_t handle)
{
    struct bytes answer;
    struct bytes public_2b;
    struct bytes name;
    struct bytes_writer w = command_of(t);
    tpm2_read_public_build(&w, handle);
    int error = ask(t, &w, &answer);
    if (error == 0) {
        error = tpm2_read_public_parse(answer, &t->rc, &public_2b, &name);
    }
    if (error == BYTES_E_TPM_RC && tpm2_rc_decode(t->rc).code == TPM2_RC_HANDLE) {
        return BYTES_E_NOT_FOUND;
    }
    return error == 0 ? keep(t, template_area, handle, public_2b) : error;
}

/* The hierarchy's seed and the template always give the same key. */
static int derive(struct uboot_tpm *t, const struct tpm2_public *template_area, uint32_t hierarchy)
{
    struct bytes answer;
    struct bytes public_2b;
    struct bytes name;
    const struct tpm2_auth no_password = tpm2_auth_password(bytes_of(NULL, 0));
    struct bytes_writer w = command_of(t);
    tpm2_create_primary_build(&w, hierarchy, &no_password, template_area);
    int error = ask(t, &w, &answer);
    if (error == 0) {
        error = tpm2_create_primary_parse(answer, &t->rc, &t->made_key, &public_2b, &name);
    }
    return error == 0 ? keep(t, template_area, t->made_key, public_2b) : error;
}

static int read_or_derive(struct uboot_tpm *t, const struct tpm2_public *template_area, uint32_t handle,
                          uint32_t hierarchy)
{
    flush(t, &t->made_key);
    const int error = read_persistent(t, template_area, handle);
    return error == BYTES_E_NOT_FOUND || error == BYTES_E_ALGORITHM ? derive(t, template_area, hierarchy)
                                                                    : error;
}

int uboot_tpm_ek(struct uboot_tpm *t)
{
    const struct tpm2_public ek = tpm2_template_ek_l1();
    return read_or_derive(t, &ek, TPM2_HANDLE_EK, TPM2_RH_ENDORSEMENT);
}

int uboot_tpm_srk(struct uboot_tpm *t)
{
    const struct tpm2_public srk = tpm2_template_srk();
    return read_or_derive(t, &srk, TPM2_HANDLE_SRK, TPM2_RH_OWNER);
}

/* ---- Unsealing --------------------------------------------------------------------------------------------------- */

/* The TPM's random bytes beside the caller's: who wants to know the salt must know both. */
static int update_drbg(struct uboot_tpm *t)
{
    struct bytes answer;
    struct bytes random;
    struct bytes_writer w = command_of(t);
    tpm2_get_random_build(&w, RANDOM_SIZE);
    int error = ask(t, &w, &answer);
    if (error == 0) {
        error = tpm2_get_random_parse(answer, &t->rc, &random);
    }
    if (error == 0 && random.len < RANDOM_SIZE) {
        error = BYTES_E_ENTROPY;
    }
    if (error == 0) {
        crypto_drbg_update(&t->drbg, random);
    }
    return error;
}

static int load(struct uboot_tpm *t, struct bytes blob)
{
    struct bytes answer;
    struct bytes name;
    struct tpm2_public area;
    const struct tpm2_auth no_password = tpm2_auth_password(bytes_of(NULL, 0));
    struct bytes_reader r = bytes_reader_over(blob);
    const struct bytes private_2b = bytes_read_2b_whole(&r);
    const struct bytes public_2b = bytes_read_2b_whole(&r);
    if (bytes_reader_end(&r) != 0 || tpm2_public_parse_2b(public_2b, &area) != 0 ||
        area.type != TPM2_ALG_KEYEDHASH) {
        return BYTES_E_STATE;
    }
    if ((area.attributes & TPM2_OBJECT_USER_WITH_AUTH) == 0) {
        return BYTES_E_POLICY;
    }
    tpm2_name_of(public_2b, t->object_name);
    struct bytes_writer w = command_of(t);
    tpm2_load_build(&w, t->key, &no_password, private_2b, public_2b);
    const int error = ask(t, &w, &answer);
    return error == 0 ? tpm2_load_parse(answer, &t->rc, &t->object, &name) : error;
}

/* The salt is encrypted to the SRK: only the TPM that holds its private half can derive the session's key. */
static int begin_session(struct uboot_tpm *t)
{
    struct bytes answer;
    struct bytes nonce_tpm;
    struct tpm2_public srk;
    struct tpm2_wrap_random random;
    uint8_t salt[TPM2_SEED_SIZE];
    uint8_t nonce[TPM2_NONCE_SIZE];
    uint8_t encrypted[2 + 256];
    struct bytes_writer w = command_of(t);
    struct bytes_writer secret = bytes_writer_over(encrypted, sizeof encrypted);
    int error = tpm2_public_parse_2b(bytes_of(t->public_2b, t->public_len), &srk);
    if (error != 0) {
        return error;
    }
    crypto_drbg_generate(&t->drbg, random.seed, sizeof random.seed);
    crypto_drbg_generate(&t->drbg, random.oaep, sizeof random.oaep);
    crypto_drbg_generate(&t->drbg, nonce, sizeof nonce);
    tpm2_seed_wrap(&secret, &srk, TPM2_SEED_SECRET, &random, salt);
    bytes_wipe(&random, sizeof random);
    bytes_writer_fail(&w, secret.error);
    const struct tpm2_salt to_srk = {t->key, bytes_of(encrypted + 2, sizeof encrypted - 2)};
    tpm2_start_keyed_session_build(&w, TPM2_SE_HMAC, bytes_of(nonce, sizeof nonce), &to_srk);
    error = ask(t, &w, &answer);
    if (error == 0) {
        error = tpm2_start_auth_session_parse(answer, &t->rc, &t->session_handle, &nonce_tpm);
    }
    if (error == 0) {
        error = tpm2_session_begin(&t->session, t->session_handle, salt, nonce, nonce_tpm);
    }
    bytes_wipe(salt, sizeof salt);
    return error;
}

/* TPM2_Unseal: built and parsed as without a session, protected and opened in between. */
static int unseal(struct uboot_tpm *t, uint8_t out[UBOOT_SEALED_MAX], size_t *out_len)
{
    struct bytes answer;
    struct bytes data;
    const struct tpm2_auth no_password = tpm2_auth_password(bytes_of(NULL, 0));
    /* Without TPM2_SESSION_CONTINUE: the TPM closes the session after this command. */
    const struct tpm2_protection protection = {
        .command_code = TPM2_CC_UNSEAL,
        .name_count = 1,
        .use_count = 1,
        .built = 1,
        .names = {bytes_of(t->object_name, sizeof t->object_name)},
        .uses = {{.session = &t->session, .attributes = TPM2_SESSION_ENCRYPT}},
    };
    struct bytes_writer w = command_of(t);
    crypto_drbg_generate(&t->drbg, t->session.nonce_caller, sizeof t->session.nonce_caller);
    tpm2_unseal_build(&w, t->object, &no_password);
    tpm2_session_protect(&w, &protection);
    int error = ask(t, &w, &answer);
    if (error == 0) {
        size_t len = answer.len;
        error = tpm2_session_open(t->response, &len, &protection);
        answer.len = len;
    }
    if (error == 0) {
        error = tpm2_unseal_parse(answer, &t->rc, &data);
    }
    if (error == 0 && data.len > UBOOT_SEALED_MAX) {
        error = BYTES_E_SPACE;
    }
    if (error == 0) {
        t->session_handle = 0;
        memcpy(out, data.p, data.len);
        *out_len = data.len;
    }
    bytes_wipe(t->response, sizeof t->response);
    return error;
}

int uboot_tpm_unseal(struct uboot_tpm *t, struct bytes secret_seed, struct bytes blob,
                     uint8_t out[UBOOT_SEALED_MAX], size_t *out_len)
{
    /* First: these bytes may stand where out is. */
    crypto_drbg_init(&t->drbg, secret_seed);
    memset(out, 0, UBOOT_SEALED_MAX);
    *out_len = 0;
    flush(t, &t->object);
    flush(t, &t->session_handle);
    int error = load(t, blob);
    if (error == 0) {
        error = update_drbg(t);
    }
    if (error == 0) {
        error = begin_session(t);
    }
    if (error == 0) {
        error = unseal(t, out, out_len);
    }
    return error;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

void uboot_tpm_end(struct uboot_tpm *t)
{
    flush(t, &t->object);
    flush(t, &t->session_handle);
    flush(t, &t->made_key);
    bytes_wipe(t, sizeof *t);
}
