/* SPDX-License-Identifier: MIT */
/* Our code's answers about vectors: a line of standard input is a question, its first word and then its arguments in
 * hexadecimal ("-": empty); the line that is printed has the results in the same form, or "no" and an error number.
 * vectors_test.py asks. */
#include "dps/protocol/registration_id.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/activation_make.h"
#include "dps/service/enrollment.h"
#include "tests/support/activation_open.h"
#include "tpm/auth.h"
#include "tpm/session.h"
#include "tpm/tools/open.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 40
#define ARGUMENT_SIZE 4096
#define RSA_STORAGE (5 * 256 + 64)

static uint8_t storage[ARGUMENTS_MAX][ARGUMENT_SIZE];
static char line[2 * ARGUMENTS_MAX * ARGUMENT_SIZE];

static void say(struct bytes value)
{
    fputs(value.len == 0 ? " -" : " ", stdout);
    for (size_t i = 0; i < value.len; i++) {
        printf("%02x", value.p[i]);
    }
}

static int say_written(const struct bytes_writer *w)
{
    if (w->error == 0) {
        say(bytes_written(w));
    }
    return w->error;
}

/* The content of exactly one TPM2B. */
static int read_2b(struct bytes whole, struct bytes *content)
{
    struct bytes_reader r = bytes_reader_over(whole);
    *content = bytes_read_2b(&r);
    return bytes_reader_end(&r);
}

/* ---- Derived values -------------------------------------------------------------------------------------- */

/* KEY LABEL U V BYTES: OUT */
static int ask_kdfa(const struct bytes *arg)
{
    char label[64] = "";
    uint8_t out[256];
    if (arg[1].len >= sizeof label || arg[4].len != 1 || arg[4].p[0] == 0) {
        return BYTES_E_USAGE;
    }
    memcpy(label, arg[1].p, arg[1].len);
    crypto_kdfa_sha256(arg[0], label, arg[2], arg[3], out, arg[4].p[0]);
    say(bytes_of(out, arg[4].p[0]));
    return 0;
}

/* PUBLIC_2B: NAME */
static int ask_name(const struct bytes *arg)
{
    struct tpm2_public area;
    uint8_t name[TPM2_NAME_SIZE];
    const int error = tpm2_public_parse_2b(arg[0], &area);
    if (error == 0) {
        tpm2_name_of(arg[0], name);
        say(bytes_of(name, sizeof name));
    }
    return error;
}

/* PUBLIC_2B: which key the service takes it for, as text */
static int ask_role(const struct bytes *arg)
{
    uint8_t base64[2048];
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    size_t len;
    struct tpm2_public area;
    const char *detail;
    struct bytes_writer w = bytes_writer_over(base64, sizeof base64);
    dps_write_base64(&w, arg[0]);
    if (w.error == 0 && dps_ek_from_base64(bytes_written(&w), ek, &len, &detail) == 0) {
        say(bytes_of_text("EK"));
        return 0;
    }
    const int error = tpm2_public_parse_2b(arg[0], &area);
    if (error != 0 || dps_srk_check(&area) != DPS_ACCEPTED) {
        return error != 0 ? error : BYTES_E_ALGORITHM;
    }
    say(bytes_of_text(dps_srk_is_hardened(&area) ? "hardened SRK" : "SRK"));
    return 0;
}

/* ---- What is wrapped ------------------------------------------------------------------------------------- */

static int take_random(struct bytes seed, struct bytes oaep, struct tpm2_wrap_random *random)
{
    if (seed.len != sizeof random->seed || oaep.len != sizeof random->oaep) {
        return BYTES_E_USAGE;
    }
    memcpy(random->seed, seed.p, seed.len);
    memcpy(random->oaep, oaep.p, oaep.len);
    return 0;
}

/* KEY_2B NAME CREDENTIAL SEED OAEP: ID_OBJECT and ENCRYPTED_SECRET, joined */
static int ask_credential_make(const struct bytes *arg)
{
    struct tpm2_public key;
    struct tpm2_wrap_random random;
    uint8_t out[512];
    struct bytes_writer w = bytes_writer_over(out, sizeof out);
    if (tpm2_public_parse_2b(arg[0], &key) != 0 || take_random(arg[3], arg[4], &random) != 0) {
        return BYTES_E_USAGE;
    }
    tpm2_credential_make(&w, &key, arg[2], arg[1], &random);
    return say_written(&w);
}

/* KEY_PRIVATE NAME ID_OBJECT ENCRYPTED_SECRET: CREDENTIAL */
static int ask_credential_open(const struct bytes *arg)
{
    uint8_t numbers[RSA_STORAGE];
    struct crypto_rsa_private key;
    struct bytes blob;
    struct bytes secret;
    uint8_t out[TPM2_CREDENTIAL_MAX];
    size_t len = 0;
    if (crypto_rsa_private_decode(arg[0], &key, numbers, sizeof numbers) != 0) {
        return BYTES_E_USAGE;
    }
    int error = read_2b(arg[2], &blob);
    error = error == 0 ? read_2b(arg[3], &secret) : error;
    error = error == 0 ? tpm2_credential_open(blob, secret, &key, arg[1], out, sizeof out, &len) : error;
    if (error == 0) {
        say(bytes_of(out, len));
    }
    return error;
}

/* PARENT_2B INNER_KEY KEY_PUBLIC_2B KEY SEED_VALUE SEED OAEP: DUPLICATE and SECRET, joined */
static int ask_duplicate_make(const struct bytes *arg)
{
    struct tpm2_public parent;
    struct tpm2_wrap_random random;
    const struct tpm2_sensitive sensitive = {.seed_value = arg[4], .key = arg[3]};
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t out[768];
    struct bytes_writer w = bytes_writer_over(out, sizeof out);
    if (tpm2_public_parse_2b(arg[0], &parent) != 0 || take_random(arg[5], arg[6], &random) != 0) {
        return BYTES_E_USAGE;
    }
    tpm2_name_of(arg[2], name);
    tpm2_duplicate_make(&w, &parent, arg[1], bytes_of(name, sizeof name), &sensitive, &random);
    return say_written(&w);
}

/* PARENT_PRIVATE INNER_KEY KEY_PUBLIC_2B DUPLICATE SECRET: KEY SEED_VALUE UNIQUE, the one that belongs to both. With
 * an empty secret there is only the inner wrap. */
static int ask_duplicate_open(const struct bytes *arg)
{
    uint8_t numbers[RSA_STORAGE];
    uint8_t opened[1024];
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t unique[32];
    struct crypto_rsa_private parent;
    struct tpm2_sensitive sensitive;
    struct bytes duplicate;
    struct bytes secret;
    if (crypto_rsa_private_decode(arg[0], &parent, numbers, sizeof numbers) != 0) {
        return BYTES_E_USAGE;
    }
    tpm2_name_of(arg[2], name);
    const struct bytes object = bytes_of(name, sizeof name);
    int error = read_2b(arg[3], &duplicate);
    error = error == 0 ? read_2b(arg[4], &secret) : error;
    if (error == 0) {
        error = strcmp((const char *)arg[5].p, "inner") == 0
                    ? tpm2_duplicate_open_inner(duplicate, arg[1], object, &sensitive, opened, sizeof opened)
                    : tpm2_duplicate_open(duplicate, secret, &parent, arg[1], object, &sensitive, opened,
                                          sizeof opened);
    }
    if (error == 0) {
        tpm2_keyedhash_unique(&sensitive, unique);
        say(sensitive.key);
        say(sensitive.seed_value);
        say(bytes_of(unique, sizeof unique));
    }
    return error;
}

/* BLOB EK_PRIVATE SRK_PRIVATE SRK_2B: KEY INNER_KEY URI */
static int ask_blob(const struct bytes *arg)
{
    uint8_t numbers[2][RSA_STORAGE];
    struct crypto_rsa_private ek;
    struct crypto_rsa_private srk;
    struct dps_activation a;
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t key[DPS_KEY_SIZE];
    uint8_t inner_key[DPS_INNER_KEY_SIZE];
    uint8_t uri[DPS_ENC_URI_MAX];
    size_t len = 0;
    size_t uri_len = 0;
    if (crypto_rsa_private_decode(arg[1], &ek, numbers[0], RSA_STORAGE) != 0 ||
        crypto_rsa_private_decode(arg[2], &srk, numbers[1], RSA_STORAGE) != 0) {
        return BYTES_E_USAGE;
    }
    tpm2_name_of(arg[3], name);
    const struct bytes srk_name = bytes_of(name, sizeof name);
    int error = activation_open(arg[0], &ek, &srk, srk_name, key);
    error = error == 0 ? dps_activation_parse(arg[0], &a) : error;
    error = error == 0 ? tpm2_credential_open(a.id_object, a.encrypted_secret, &ek, srk_name, inner_key,
                                              sizeof inner_key, &len)
                       : error;
    error = error == 0 ? dps_activation_uri(bytes_of(inner_key, len), a.enc_uri, uri, sizeof uri, &uri_len)
                       : error;
    if (error == 0) {
        say(bytes_of(key, sizeof key));
        say(bytes_of(inner_key, len));
        say(bytes_of(uri, uri_len));
    }
    return error;
}

/* ---- Sessions -------------------------------------------------------------------------------------------- */

#define SESSION_ARGUMENTS 9 /* HANDLE SALT TPM_START CALLER_START TPM CALLER AUTH AUTH_THEN ATTRIBUTES */
#define FIRST_SESSION 6

static int begin(const struct bytes *arg, struct tpm2_session *s, struct tpm2_use *use)
{
    struct bytes_reader handle = bytes_reader_over(arg[0]);
    if (arg[3].len != TPM2_NONCE_SIZE || arg[4].len != TPM2_NONCE_SIZE || arg[5].len != TPM2_NONCE_SIZE ||
        arg[8].len != 1 || (arg[1].len != 0 && arg[1].len != TPM2_SEED_SIZE)) {
        return BYTES_E_USAGE;
    }
    const int error =
        tpm2_session_begin(s, bytes_read_u32(&handle), arg[1].len != 0 ? arg[1].p : NULL, arg[3].p, arg[2]);
    memcpy(s->nonce_tpm, arg[4].p, TPM2_NONCE_SIZE);
    memcpy(s->nonce_caller, arg[5].p, TPM2_NONCE_SIZE);
    *use = (struct tpm2_use){
        .session = s, .attributes = arg[8].p[0], .auth_value = arg[6], .auth_value_then = arg[7]};
    return error;
}

/* The command as it would be without sessions. */
static void build(struct bytes_writer *w, uint32_t code, struct bytes handle, struct bytes parameters)
{
    const struct tpm2_auth auth = tpm2_auth_password((struct bytes){0});
    bytes_write_u16(w, TPM2_ST_SESSIONS);
    bytes_write_u32(w, 0);
    bytes_write_u32(w, code);
    bytes_write_bytes(w, handle);
    tpm2_auth_area_write(w, &auth, 1);
    bytes_write_bytes(w, parameters);
}

/* CODE HANDLE NAME PARAMETERS RESPONSE COUNT and the sessions: COMMAND ANSWER and the sessions' keys. ANSWER, without
 * the header and what follows the parameters, is "-" if the response is not believed. */
static int ask_session(const struct bytes *arg)
{
    struct tpm2_session sessions[TPM2_SESSIONS_MAX] = {{0}};
    uint8_t command[1024];
    uint8_t response[1024];
    struct bytes_reader code = bytes_reader_over(arg[0]);
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    const size_t count = arg[5].len == 1 ? arg[5].p[0] : 0;
    size_t len = arg[4].len;
    if (count == 0 || count > TPM2_SESSIONS_MAX || len > sizeof response) {
        return BYTES_E_USAGE;
    }
    struct tpm2_protection p = {.command_code = bytes_read_u32(&code),
                                .name_count = 1,
                                .names = {arg[2]},
                                .use_count = (uint8_t)count,
                                .built = 1};
    for (size_t i = 0; i < count; i++) {
        if (begin(&arg[FIRST_SESSION + i * SESSION_ARGUMENTS], &sessions[i], &p.uses[i]) != 0) {
            return BYTES_E_USAGE;
        }
    }
    build(&w, p.command_code, arg[1], arg[3]);
    tpm2_session_protect(&w, &p);
    if (say_written(&w) != 0) {
        return w.error;
    }
    memcpy(response, arg[4].p, len);
    const int error = tpm2_session_open(response, &len, &p);
    say(error == 0 ? bytes_of(response, len) : (struct bytes){0});
    for (size_t i = 0; i < count; i++) {
        say(bytes_of(sessions[i].key, sessions[i].keyed ? sizeof sessions[i].key : 0));
    }
    return 0;
}

/* ---- Texts ----------------------------------------------------------------------------------------------- */

/* AUDIENCE EXPIRY KEY KEY_NAME: STRING_TO_SIGN SIGNATURE TOKEN */
static int ask_sas_sign(const struct bytes *arg)
{
    uint8_t sr[512];
    uint8_t text[600];
    uint8_t token[1024];
    uint8_t mac[CRYPTO_SHA256_SIZE];
    uint64_t expiry;
    struct bytes_writer encoded = bytes_writer_over(sr, sizeof sr);
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    struct bytes_writer whole = bytes_writer_over(token, sizeof token);
    if (dps_decimal_parse(arg[1], INT64_MAX, &expiry) != 0) {
        return BYTES_E_USAGE;
    }
    dps_write_percent(&encoded, arg[0]);
    dps_sas_write_string_to_sign(&w, bytes_written(&encoded), expiry);
    const struct bytes message = bytes_written(&w);
    crypto_hmac_sha256(arg[2], &message, 1, mac);
    dps_sas_write_token(&whole, bytes_written(&encoded), mac, expiry, arg[3]);
    say(message);
    say(bytes_of(mac, sizeof mac));
    return say_written(&whole);
}

/* TOKEN AUDIENCE KEY NOW: nothing more than that it is right */
static int ask_sas_check(const struct bytes *arg)
{
    struct dps_sas sas;
    uint64_t now;
    if (dps_decimal_parse(arg[3], INT64_MAX, &now) != 0) {
        return BYTES_E_USAGE;
    }
    const int error = dps_sas_parse(arg[0], &sas);
    if (error != 0) {
        return error;
    }
    return dps_sas_audience_is(&sas, arg[1]) && sas.expiry > now && dps_sas_signed_with(&sas, arg[2])
               ? 0
               : BYTES_E_INTEGRITY;
}

/* ID: LOWER */
static int ask_id(const struct bytes *arg)
{
    uint8_t lower[DPS_REGISTRATION_ID_MAX];
    size_t len;
    const int error = dps_registration_id_lower(arg[0], lower, &len);
    if (error == 0) {
        say(bytes_of(lower, len));
    }
    return error;
}

/* EK_2B: ID */
static int ask_default_id(const struct bytes *arg)
{
    char id[DPS_DEFAULT_REGISTRATION_ID_SIZE];
    dps_registration_id_default(arg[0], id);
    say(bytes_of_text(id));
    return 0;
}

/* ---- Questions ------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    size_t count; /* of arguments, at least */
    int (*ask)(const struct bytes *arg);
} questions[] = {
    {"kdfa", 5, ask_kdfa},
    {"name", 1, ask_name},
    {"role", 1, ask_role},
    {"credential-make", 5, ask_credential_make},
    {"credential-open", 4, ask_credential_open},
    {"duplicate-make", 7, ask_duplicate_make},
    {"duplicate-open", 6, ask_duplicate_open},
    {"blob", 4, ask_blob},
    {"session", FIRST_SESSION + SESSION_ARGUMENTS, ask_session},
    {"sas-sign", 4, ask_sas_sign},
    {"sas-check", 4, ask_sas_check},
    {"id", 1, ask_id},
    {"default-id", 1, ask_default_id},
};

static int answer(const char *word, const struct bytes *arg, size_t count)
{
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (strcmp(word, questions[i].word) == 0 && count >= questions[i].count) {
            return questions[i].ask(arg);
        }
    }
    return BYTES_E_USAGE;
}

int main(void)
{
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct bytes arg[ARGUMENTS_MAX] = {{0}};
        size_t count = 0;
        int error = 0;
        const char *word = strtok(line, " \n");
        for (const char *text; error == 0 && (text = strtok(NULL, " \n")) != NULL; count++) {
            size_t len = 0;
            if (count == ARGUMENTS_MAX) {
                return EXIT_FAILURE;
            }
            if (strcmp(text, "-") != 0) {
                error = dps_hex_decode(bytes_of_text(text), storage[count], ARGUMENT_SIZE - 1, &len);
            }
            storage[count][len] = 0;
            arg[count] = bytes_of(storage[count], len);
        }
        error = error != 0 || word == NULL ? BYTES_E_USAGE : answer(word, arg, count);
        if (error != 0) {
            printf(" no %d", error);
        }
        putchar('\n');
        (void)fflush(stdout);
    }
    return EXIT_SUCCESS;
}
