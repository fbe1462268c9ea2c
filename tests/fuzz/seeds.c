/* SPDX-License-Identifier: MIT */
/* Writes the test vectors as inputs of the fuzz harnesses, and each TPM response in the ways in which a TPM, a bus or
  * an attacker spoils it: DIRECTORY/HARNESS/NUMBER. What is written by hand stands in corpus/. */
#include "crypto/tls_identity.h"
#include "dps/protocol/text.h"
#include "port/posix/pki/pem.h"
#include "tests/fuzz/fuzz_tls.h"
#include "tests/fuzz/responses.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/commands.h"
#include "tests/vectors/tls_pem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TAG_AT 0
#define SIZE_AT 2
#define CODE_AT 6
#define PARAMETER_SIZE_AT 10

static const char *directory;
static unsigned number;

static void write_seed(const char *harness, struct bytes prefix, struct bytes bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, harness);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/vector-%04u", directory, harness, number++);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(prefix.p, 1, prefix.len, file) != prefix.len ||
        fwrite(bytes.p, 1, bytes.len, file) != bytes.len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void seed(const char *harness, struct bytes bytes)
{
    write_seed(harness, bytes_of(NULL, 0), bytes);
}

/* With the byte in front that says what it is. */
static void seed_as(const char *harness, uint8_t what, struct bytes bytes)
{
    write_seed(harness, bytes_of(&what, 1), bytes);
}

/* ---- TPM responses ---- */

static void seed_response(size_t kind, struct bytes response)
{
    const uint8_t explain[2] = {1, (uint8_t)kind};
    seed_as("response", (uint8_t)kind, response);
    write_seed("explain", bytes_of(explain, 2), response);
}

/* The same response with one 16 or 32-bit field replaced. */
static void seed_with(size_t kind, struct bytes response, size_t at, size_t width, uint32_t value)
{
    uint8_t bytes[2048];
    if (response.len > sizeof bytes || at + width > response.len) {
        return;
    }
    memcpy(bytes, response.p, response.len);
    for (size_t i = 0; i < width; i++) {
        bytes[at + i] = (uint8_t)(value >> 8 * (width - 1 - i));
    }
    seed_as("response", (uint8_t)kind, bytes_of(bytes, response.len));
}

static void seed_spoiled(size_t kind, struct bytes response)
{
    static const uint32_t sizes[] = {0, 9, 10, 0x7FFFFFFF, 0xFFFFFFFF};
    static const uint32_t codes[] = {0x100, 0x101, 0x120, 0x085, 0x143, 0x18B, 0x1DF, 0x2DF,   0x2E5,
                                     0x902, 0x908, 0x90A, 0x920, 0x921, 0x922, 0x923, 0x60902, 0xB0120};
    uint8_t longer[2049] = {0};
    const uint32_t size = (uint32_t)response.len;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        seed_with(kind, response, SIZE_AT, 4, sizes[i]);
        seed_with(kind, response, PARAMETER_SIZE_AT, 4, sizes[i]);
    }
    for (uint32_t change = 1; change <= 2; change++) {
        seed_with(kind, response, SIZE_AT, 4, size - change);
        seed_with(kind, response, SIZE_AT, 4, size + change);
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        seed_with(kind, response, CODE_AT, 4, codes[i]);
    }
    seed_with(kind, response, TAG_AT, 2, TPM2_ST_SESSIONS);
    seed_with(kind, response, TAG_AT, 2, TPM2_ST_NO_SESSIONS);
    seed_with(kind, response, TAG_AT, 2, TPM2_ST_RSP_COMMAND);
    for (size_t at = 10; at + 2 <= response.len && at < 40; at++) {
        seed_with(kind, response, at, 2, 0);
        seed_with(kind, response, at, 2, 0xFFFF);
    }
    for (size_t len = 0; len < response.len && len < 24; len++) {
        seed_as("response", (uint8_t)kind, bytes_of(response.p, len));
    }
    if (response.len < sizeof longer) {
        memcpy(longer, response.p, response.len);
        seed_with(kind, bytes_of(longer, response.len + 1), SIZE_AT, 4, size + 1);
        seed_as("response", (uint8_t)kind, bytes_of(longer, response.len + 1));
    }
}

static void seed_commands(void)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        const struct captured *c = &captured_commands[i];
        struct bytes_reader r = bytes_reader_over(c->request);
        bytes_skip(&r, CODE_AT);
        const uint32_t code = bytes_read_u32(&r);
        seed_as("explain", 0, c->request);
        const struct response_kind *kind = response_kind_of(code);
        if (kind == NULL) {
            continue;
        }
        seed_response((size_t)(kind - response_kinds), c->response);
        seed_spoiled((size_t)(kind - response_kinds), c->response);
        /* The answer to another command. */
        seed_as("response", (uint8_t)((size_t)(kind - response_kinds + 1) % response_kinds_count),
                c->response);
    }
}

/* ---- Keys and blobs ---- */

static void seed_ek_forms(struct bytes ek)
{
    uint8_t text[2048];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_base64(&w, ek);
    seed("ek", ek);
    seed("ek", bytes_of(ek.p + 2, ek.len - 2));
    seed("ek", bytes_written(&w));
    struct bytes_writer json = bytes_writer_over(text + w.len, sizeof text - w.len);
    dps_write_text(
        &json, "{\"registrationId\":\"a\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    bytes_write_bytes(&json, bytes_written(&w));
    dps_write_text(&json, "\"}},\"iotHubs\":[\"a.example\",\"b.example\"],\"initialTwin\":{\"tags\":{}},"
                          "\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":true},"
                          "\"allocationPolicy\":\"hashed\",\"deviceId\":\"A b\",\"payload\":{}}");
    seed("ek", bytes_written(&json));
    seed("enrollment", bytes_written(&json));
    seed("json", bytes_written(&json));
    w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, ek);
    seed("ek", bytes_written(&w));
}

static void seed_public(struct tpm2_public area, const unsigned char *vector, size_t len)
{
    uint8_t bytes[512];
    struct tpm2_public source;
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    if (tpm2_public_parse_2b(bytes_of(vector, len), &source) != 0) {
        exit(1);
    }
    area.unique = source.unique;
    tpm2_public_write_2b(&w, &area);
    seed("public", bytes_written(&w));
    seed("public", bytes_of(vector, len));
    seed_as("explain", 2, bytes_written(&w));
    seed_ek_forms(bytes_written(&w));
}

static void seed_blobs(void)
{
    uint8_t longer[1024] = {0};
    const struct bytes blob = bytes_of(vector_blob, sizeof vector_blob);
    seed_as("blob", 0, blob);
    seed_as("explain", 3, blob);
    memcpy(longer, blob.p, blob.len);
    seed_as("blob", 0, bytes_of(longer, sizeof longer)); /* bytes after it, which clients ignore */
    seed_as("blob", 1, bytes_of(vector_object_sensitive_2b, sizeof vector_object_sensitive_2b));
    seed_as("blob", 2, bytes_of(vector_message, sizeof vector_message));
    /* Each field's size off by one, and cut off in front of each. */
    const size_t fields[] = {0,
                             sizeof vector_id_object,
                             sizeof vector_enc_secret,
                             sizeof vector_private,
                             sizeof vector_dup_secret,
                             sizeof vector_public};
    size_t at = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        at += fields[i];
        memcpy(longer, blob.p, blob.len);
        longer[at + 1]++;
        seed_as("blob", 0, bytes_of(longer, blob.len));
        longer[at + 1] = (uint8_t)(longer[at + 1] - 2);
        seed_as("blob", 0, bytes_of(longer, blob.len));
        seed_as("blob", 0, bytes_of(blob.p, at));
        seed_as("explain", 3, bytes_of(blob.p, at + 1));
    }
}

static void seed_pem(void)
{
    static const char *const texts[] = {vector_tls_ca,
                                        vector_tls_ec_leaf,
                                        vector_tls_ec_key_sec1,
                                        vector_tls_ec_key_pkcs8,
                                        vector_tls_ec_key_encrypted,
                                        vector_tls_rsa_leaf,
                                        vector_tls_rsa_key_pkcs8,
                                        vector_tls_rsa_key_pkcs1,
                                        vector_tls_ed25519_leaf,
                                        vector_tls_p521_key};
    uint8_t both[8192];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        seed_as("pem", 0, bytes_of_text(texts[i]));
        seed_as("pem", 2, bytes_of_text(texts[i]));
        seed("ek", bytes_of_text(texts[i]));
    }
    struct bytes_writer w = bytes_writer_over(both, sizeof both);
    dps_write_text(&w, vector_tls_rsa_leaf);
    dps_write_text(&w, vector_tls_rsa_key_pkcs8);
    seed_as("pem", 1, bytes_written(&w));
    w = bytes_writer_over(both, sizeof both);
    dps_write_text(&w, vector_tls_ec_leaf);
    dps_write_text(&w, vector_tls_ca);
    dps_write_text(&w, vector_tls_ec_key_sec1);
    seed_as("pem", 1, bytes_written(&w));
    seed_as("pem", 0, bytes_written(&w));
    seed_as("pem", 4, bytes_of(vector_ek_private_der, sizeof vector_ek_private_der));
}

/* ---- TLS ---- */

/* Certificates of the vectors, as fuzz_chain reads them. */
static void seed_chain(const char *const *certificates, size_t count)
{
    static uint8_t der[4096], text[8192];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    for (size_t i = 0; i < count; i++) {
        struct pem object;
        struct bytes pem = bytes_of_text(certificates[i]);
        size_t len;
        if (pem_next(&pem, &object) != 0 || pem_decode(&object, der, sizeof der, &len) != 0) {
            exit(1);
        }
        bytes_write_2b(&w, bytes_of(der, len));
    }
    seed_as("chain", 0, bytes_written(&w));
    seed_as("chain", 96, bytes_written(&w));
}

/* Records from one side to the other, kept on the way; null: not kept. */
static bool carry(crypto_tls_engine *from, crypto_tls_engine *to, struct bytes_writer *kept)
{
    size_t len, room;
    const uint8_t *out = crypto_tls_record_out(from, &len);
    uint8_t *in = crypto_tls_record_in(to, &room);
    if (out == NULL || in == NULL) {
        return false;
    }
    len = len < room ? len : room;
    memcpy(in, out, len);
    if (kept != NULL) {
        bytes_write_bytes(kept, bytes_of(out, len));
    }
    crypto_tls_record_sent(from, len);
    crypto_tls_record_received(to, len);
    return true;
}

/* All that a server sends to the client of fuzz_tls: the handshake, an answer, the end. */
static void seed_flight(uint8_t flags, const char *chain, const char *key)
{
    static const uint8_t entropy[] = "the server's, always the same..."; /* the first 32 bytes */
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    static struct crypto_tls_client client;
    static struct crypto_tls_server server;
    static struct crypto_identity identity;
    static struct crypto_trust trust;
    static uint8_t client_io[PORT_TLS_BUFFER], server_io[PORT_TLS_BUFFER], sent[16384];
    struct bytes_writer kept = bytes_writer_over(sent, sizeof sent);
    if (crypto_identity_load(&identity, bytes_of_text(chain), bytes_of_text(key)) != 0 ||
        fuzz_tls_start(&client, &trust, flags, client_io) != 0 ||
        crypto_tls_server_start(&server, &identity, NULL, entropy, server_io, sizeof server_io) != 0) {
        exit(1);
    }
    crypto_tls_engine *ours = crypto_tls_client_engine(&client), *theirs = crypto_tls_server_engine(&server);
    while (carry(ours, theirs, NULL) || carry(theirs, ours, &kept)) {
    }
    size_t room;
    uint8_t *out = crypto_tls_app_out(theirs, &room);
    if (out == NULL || (crypto_tls_want(ours) & CRYPTO_TLS_APP_OUT) == 0) {
        exit(1);
    }
    memcpy(out, answer, strlen(answer));
    crypto_tls_app_sent(theirs, strlen(answer));
    crypto_tls_close(theirs);
    while (carry(theirs, ours, &kept)) {
    }
    seed_as("tls", flags, bytes_written(&kept));
    seed_as("tls", flags | TLS_SMALL_PIECES, bytes_written(&kept));
}

static void seed_tls(void)
{
    static const char *const ec[] = {vector_tls_ec_leaf, vector_tls_ca}, *const rsa[] = {vector_tls_rsa_leaf};
    static const char *const odd[] = {vector_tls_ed25519_leaf}, *const self[] = {vector_tls_ca};
    seed_chain(ec, 2);
    seed_chain(rsa, 1);
    seed_chain(odd, 1);
    seed_chain(self, 1);
    for (uint8_t clock = 0; clock <= (uint8_t)TLS_NO_CLOCK; clock++) {
        seed_flight(clock, vector_tls_ec_leaf, vector_tls_ec_key_sec1);
        seed_flight(clock | TLS_RSA, vector_tls_rsa_leaf, vector_tls_rsa_key_pkcs1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    directory = argv[1];
    seed_commands();
    seed_public(tpm2_template_ek_l1(), vector_ek_public_2b, sizeof vector_ek_public_2b);
    seed_public(tpm2_template_srk(), vector_srk_public_2b, sizeof vector_srk_public_2b);
    seed("public", bytes_of(vector_public, sizeof vector_public));
    seed_blobs();
    seed_pem();
    seed_tls();
    printf("%u seeds\n", number);
    return 0;
}
