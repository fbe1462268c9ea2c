/* SPDX-License-Identifier: MIT */
/* blob_tool: the wire formats of this project on a command line, so that programs that share no code with it can
 * check them (oracle_test.py). Arguments and results are hexadecimal; a result is one line "name value". All random
 * bytes follow from SEED, and private keys come as arguments: for tests only. */
#include "dps/protocol/activation.h"
#include "dps/protocol/text.h"
#include "dps/service/activation_make.h"
#include "dps/service/enrollment.h"
#include "tests/support/activation_open.h"
#include "tpm/protect.h"
#include "tpm/tools/open.h"
#include <stdio.h>
#include <string.h>

#define ARGUMENTS_MAX 6
#define ARGUMENT_SIZE 4096
#define RSA_STORAGE (5 * 256 + 64)

static uint8_t storage[ARGUMENTS_MAX][ARGUMENT_SIZE];

/* ---- Printing ----------------------------------------------------------------------------------------- */

static void print_hex(const char *name, struct bytes bytes)
{
    printf("%s ", name);
    for (size_t i = 0; i < bytes.len; i++) {
        printf("%02x", bytes.p[i]);
    }
    putchar('\n');
}

/* A TPM2B whose content this is. */
static void print_2b(const char *name, struct bytes content)
{
    uint8_t whole[ARGUMENT_SIZE];
    struct bytes_writer w = bytes_writer_over(whole, sizeof whole);
    bytes_write_2b(&w, content);
    print_hex(name, bytes_written(&w));
}

static int print_fields(struct bytes blob)
{
    struct dps_activation a;
    const int error = dps_activation_parse(blob, &a);
    if (error != 0) {
        return error;
    }
    print_2b("id_object", a.id_object);
    print_2b("encrypted_secret", a.encrypted_secret);
    print_2b("duplicate", a.duplicate);
    print_2b("duplicate_secret", a.duplicate_secret);
    print_hex("key_public", a.key_public_2b);
    print_2b("enc_uri", a.enc_uri);
    return 0;
}

/* TPM2Bs one after the other, as tpm2_credential_make and tpm2_duplicate_make append them. */
static int print_pair(const struct bytes_writer *w, const char *first, const char *second)
{
    struct bytes_reader r = bytes_reader_over(bytes_written(w));
    const struct bytes one = bytes_read_2b_whole(&r);
    const struct bytes two = bytes_read_2b_whole(&r);
    if (w->error != 0 || bytes_reader_end(&r) != 0) {
        return w->error != 0 ? w->error : BYTES_E_FORMAT;
    }
    print_hex(first, one);
    print_hex(second, two);
    return 0;
}

/* ---- The blob and its parts --------------------------------------------------------------------------- */

static void draw(struct bytes seed, void *out, size_t len)
{
    struct crypto_drbg drbg;
    crypto_drbg_init(&drbg, seed);
    crypto_drbg_generate(&drbg, out, len);
}

static int run_make(const struct bytes *arg)
{
    struct tpm2_public ek;
    struct tpm2_public srk;
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    struct dps_activation_random random;
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    if (tpm2_public_parse_2b(arg[0], &ek) != 0 || tpm2_public_parse_2b(arg[1], &srk) != 0 ||
        arg[2].len != DPS_KEY_SIZE) {
        return BYTES_E_USAGE;
    }
    tpm2_name_of(arg[1], name);
    draw(arg[5], &random, sizeof random);
    dps_activation_make(&w, &ek, &srk, name, arg[2].p, arg[3], arg[4], &random);
    if (w.error != 0) {
        return w.error;
    }
    print_hex("blob", bytes_written(&w));
    print_hex("inner_key", bytes_of(random.inner_key, sizeof random.inner_key));
    return print_fields(bytes_written(&w));
}

static int run_parse(const struct bytes *arg)
{
    return print_fields(arg[0]);
}

static int print_uri(struct bytes inner_key, struct bytes enc_uri)
{
    uint8_t text[DPS_ENC_URI_MAX];
    size_t len;
    const int error = dps_activation_uri(inner_key, enc_uri, text, sizeof text, &len);
    if (error == 0) {
        print_hex("uri", bytes_of(text, len));
    }
    return error;
}

static int run_open(const struct bytes *arg)
{
    uint8_t numbers[2][RSA_STORAGE];
    struct crypto_rsa_private ek;
    struct crypto_rsa_private srk;
    struct dps_activation a;
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t key[DPS_KEY_SIZE];
    uint8_t inner_key[DPS_INNER_KEY_SIZE];
    size_t len = 0;
    if (crypto_rsa_private_decode(arg[1], &ek, numbers[0], RSA_STORAGE) != 0 ||
        crypto_rsa_private_decode(arg[2], &srk, numbers[1], RSA_STORAGE) != 0) {
        return BYTES_E_USAGE;
    }
    tpm2_name_of(arg[3], name);
    const struct bytes srk_name = bytes_of(name, sizeof name);
    int error = activation_open(arg[0], &ek, &srk, srk_name, key);
    if (error != 0) {
        return error;
    }
    print_hex("key", bytes_of(key, sizeof key));
    error = dps_activation_parse(arg[0], &a);
    if (error == 0) {
        error = tpm2_credential_open(a.id_object, a.encrypted_secret, &ek, srk_name, inner_key,
                                     sizeof inner_key, &len);
    }
    return error != 0 ? error : print_uri(bytes_of(inner_key, len), a.enc_uri);
}

static int run_credential(const struct bytes *arg)
{
    struct tpm2_public key;
    struct tpm2_wrap_random random;
    uint8_t out[512];
    struct bytes_writer w = bytes_writer_over(out, sizeof out);
    if (tpm2_public_parse_2b(arg[0], &key) != 0) {
        return BYTES_E_USAGE;
    }
    draw(arg[3], &random, sizeof random);
    tpm2_credential_make(&w, &key, arg[2], arg[1], &random);
    return print_pair(&w, "id_object", "encrypted_secret");
}

static int run_duplicate(const struct bytes *arg)
{
    struct tpm2_public parent;
    struct tpm2_wrap_random random;
    const struct tpm2_sensitive sensitive = {.seed_value = arg[3], .key = arg[2]};
    uint8_t unique[32];
    uint8_t public_2b[64];
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t out[512];
    struct bytes_writer area = bytes_writer_over(public_2b, sizeof public_2b);
    struct bytes_writer w = bytes_writer_over(out, sizeof out);
    if (tpm2_public_parse_2b(arg[0], &parent) != 0) {
        return BYTES_E_USAGE;
    }
    tpm2_keyedhash_unique(&sensitive, unique);
    const struct tpm2_public key = tpm2_template_hmac_key(bytes_of(unique, sizeof unique));
    tpm2_public_write_2b(&area, &key);
    tpm2_name_of(bytes_written(&area), name);
    draw(arg[4], &random, sizeof random);
    tpm2_duplicate_make(&w, &parent, arg[1], bytes_of(name, sizeof name), &sensitive, &random);
    print_hex("key_public", bytes_written(&area));
    return print_pair(&w, "duplicate", "duplicate_secret");
}

/* ---- Public areas ------------------------------------------------------------------------------------- */

static int run_name(const struct bytes *arg)
{
    struct tpm2_public area;
    uint8_t name[TPM2_NAME_SIZE];
    const int error = tpm2_public_parse_2b(arg[0], &area);
    if (error != 0) {
        return error;
    }
    tpm2_name_of(arg[0], name);
    print_hex("name", bytes_of(name, sizeof name));
    return 0;
}

static int run_ek(const struct bytes *arg)
{
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    size_t len;
    const char *detail = "";
    const int error = dps_ek_from_base64(arg[0], ek, &len, &detail);
    if (error == 0) {
        print_hex("ek", bytes_of(ek, len));
    } else {
        fprintf(stderr, "%s\n", detail);
    }
    return error;
}

/* The service's rule for storage keys: 0, or the HTTP status and errorCode of its refusal. */
static int run_srk(const struct bytes *arg)
{
    struct tpm2_public area;
    const int error = tpm2_public_parse_2b(arg[0], &area);
    if (error != 0) {
        return error;
    }
    const enum dps_refusal refusal = dps_srk_check(&area);
    const struct dps_refusal_text *text = dps_refusal_text(refusal);
    printf("status %u\ncode %u\n", refusal == DPS_ACCEPTED ? 0u : text->status,
           refusal == DPS_ACCEPTED ? 0u : (unsigned)text->code);
    return 0;
}

/* ---- Primitives --------------------------------------------------------------------------------------- */

static int run_kdfa(const struct bytes *arg)
{
    char label[64] = "";
    uint8_t out[128];
    if (arg[1].len >= sizeof label || arg[4].len != 1 || arg[4].p[0] == 0 || arg[4].p[0] > sizeof out) {
        return BYTES_E_USAGE;
    }
    memcpy(label, arg[1].p, arg[1].len);
    crypto_kdfa_sha256(arg[0], label, arg[2], arg[3], out, arg[4].p[0]);
    print_hex("out", bytes_of(out, arg[4].p[0]));
    return 0;
}

static int run_cfb(const struct bytes *arg)
{
    const int error = crypto_aes_cfb_encrypt(arg[0], NULL, storage[1], arg[1].len);
    if (error == 0) {
        print_hex("out", arg[1]);
    }
    return error;
}

static int run_oaep(const struct bytes *arg)
{
    struct tpm2_public area;
    uint8_t seed[CRYPTO_SHA256_SIZE];
    uint8_t out[CRYPTO_RSA_MAX];
    if (tpm2_public_parse_2b(arg[0], &area) != 0 || area.type != TPM2_ALG_RSA) {
        return BYTES_E_USAGE;
    }
    const struct crypto_rsa_public key = tpm2_public_rsa(&area);
    draw(arg[3], seed, sizeof seed);
    const int error = crypto_rsa_oaep_encrypt(&key, arg[1], seed, arg[2], out);
    if (error == 0) {
        print_hex("out", bytes_of(out, key.modulus.len));
    }
    return error;
}

/* ---- Commands ----------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *arguments;
    int count;
    int (*run)(const struct bytes *arg);
} commands[] = {
    {"make", "EK_2B SRK_2B KEY HOST ID SEED", 6, run_make},
    {"parse", "BLOB", 1, run_parse},
    {"open", "BLOB EK_PRIVATE_DER SRK_PRIVATE_DER SRK_2B", 4, run_open},
    {"credential", "KEY_2B NAME CREDENTIAL SEED", 4, run_credential},
    {"duplicate", "PARENT_2B INNER_KEY KEY SEED_VALUE SEED", 5, run_duplicate},
    {"name", "PUBLIC_2B", 1, run_name},
    {"ek-canonical", "BASE64", 1, run_ek},
    {"srk-check", "PUBLIC_2B", 1, run_srk},
    {"kdfa", "KEY LABEL U V BYTES", 5, run_kdfa},
    {"cfb", "KEY DATA", 2, run_cfb},
    {"oaep", "PUBLIC_2B LABEL MESSAGE SEED", 4, run_oaep},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int usage(void)
{
    fputs("Usage: blob_tool COMMAND ARGUMENT... (all in hexadecimal, texts as well)\n", stderr);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stderr, "  %-12s %s\n", commands[i].name, commands[i].arguments);
    }
    return 2;
}

int main(int argc, char **argv)
{
    struct bytes arg[ARGUMENTS_MAX];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (argc < 2 || strcmp(argv[1], commands[i].name) != 0) {
            continue;
        }
        if (argc != 2 + commands[i].count) {
            return usage();
        }
        for (int a = 0; a < commands[i].count; a++) {
            size_t len;
            if (dps_hex_decode(bytes_of_text(argv[2 + a]), storage[a], ARGUMENT_SIZE, &len) != 0) {
                return usage();
            }
            arg[a] = bytes_of(storage[a], len);
        }
        const int error = commands[i].run(arg);
        if (error != 0) {
            fprintf(stderr, "blob_tool: %s: error %d\n", argv[1], error);
        }
        return error == 0 ? 0 : 1;
    }
    return usage();
}
