/* SPDX-License-Identifier: MIT */
/* `ek`: the endorsement key in every form that people need, compared with the vendor's certificate. */
#include "dps/device/device.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "port/posix/device/tool.h"
#include "port/posix/paste/ek_forms.h"
#include "port/posix/pki/pem.h"
#include <string.h>

/* An EK certificate has 800 to 1800 bytes; NV areas are sometimes padded. */
#define CERTIFICATE_MAX 4096

struct certificate {
    uint32_t index; /* where it was found; 0: nowhere */
    uint8_t der[CERTIFICATE_MAX];
    size_t len;
    struct crypto_certificate read; /* views der; empty if it is not X.509 */
};

/* ---- Forms ---- */

/* SubjectPublicKeyInfo [RFC 5280 4.1.2.7; RFC 3279 2.3.1] of an RSA-2048 key. Every container in it is longer
 * than 255 and shorter than 65536 bytes, so in DER each length is 0x82 and two bytes: the same as a TPM's own
 * size field. */
static void write_der(struct bytes_writer *w, const struct crypto_rsa_public *key)
{
    static const uint8_t rsa_encryption[] = {0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                             0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00};
    enum { SEQUENCE = 0x30, INTEGER = 0x02, BIT_STRING = 0x03, LENGTH_OF_2 = 0x82 };
    static const uint8_t containers[] = {SEQUENCE, BIT_STRING, SEQUENCE, INTEGER};
    size_t begin[4];
    for (size_t i = 0; i < 4; i++) {
        bytes_write_u8(w, containers[i]);
        bytes_write_u8(w, LENGTH_OF_2);
        begin[i] = bytes_write_size_begin(w);
        if (i == 0) {
            bytes_write_bytes(w, bytes_of(rsa_encryption, sizeof rsa_encryption));
        }
        if (containers[i] == BIT_STRING) {
            bytes_write_u8(w, 0); /* unused bits */
        }
    }
    bytes_write_u8(w, 0); /* the modulus has its top bit set, and is not negative */
    bytes_write_bytes(w, key->modulus);
    bytes_write_size_end(w, begin[3]);
    bytes_write_u8(w, INTEGER);
    bytes_write_u8(w, 3);
    bytes_write_u8(w, (uint8_t)(key->exponent >> 16));
    bytes_write_u16(w, (uint16_t)key->exponent);
    for (size_t i = 3; i-- > 0;) {
        bytes_write_size_end(w, begin[i]);
    }
}

void device_print_ek_digest(const struct device_tool *t, int width)
{
    const struct bytes public_2b = bytes_of(t->engine.ek, t->engine.ek_len);
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(&public_2b, 1, digest);
    printf("%-*sSHA-256 ", width, "EK_pub");
    for (size_t i = 0; i < sizeof digest; i++) {
        printf("%02x", digest[i]);
    }
    putchar('\n');
}

static void print_base64(struct bytes bytes)
{
    uint8_t text[1024];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_base64(&w, bytes);
    printf("%.*s\n", (int)bytes_written(&w).len, (const char *)text);
}

/* 48 bytes give the 64 characters of a PEM line [RFC 7468 2]. */
static void print_pem(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    uint8_t der[512];
    struct bytes_writer w = bytes_writer_over(der, sizeof der);
    struct tpm2_public area;
    if (tpm2_public_parse_2b(bytes_of(d->ek, d->ek_len), &area) != 0) {
        return;
    }
    const struct crypto_rsa_public key = tpm2_public_rsa(&area);
    write_der(&w, &key);
    struct bytes rest = bytes_written(&w);
    puts("-----BEGIN PUBLIC KEY-----");
    while (rest.len > 0) {
        size_t len = rest.len < 48 ? rest.len : 48;
        print_base64(bytes_of(rest.p, len));
        rest = bytes_of(rest.p + len, rest.len - len);
    }
    puts("-----END PUBLIC KEY-----");
}

/* The body of an enrollment as the management API takes it [DPS "Individual enrollment"]. */
static void print_enrollment(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    uint8_t text[1024];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_text(&w, "{\"registrationId\":");
    dps_write_json_string(&w, bytes_of_text(d->registration_id));
    dps_write_text(&w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&w, bytes_of(d->ek, d->ek_len));
    dps_write_text(&w, "\"}}}");
    printf("%.*s\n", (int)bytes_written(&w).len, (const char *)text);
}

/* ---- The certificate ---- */

static int read_certificate(struct device_tool *t, struct certificate *c)
{
    static const uint32_t indexes[] = {TPM2_NV_EK_CERTIFICATE_RSA2048, TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH};
    c->index = 0;
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0] && c->index == 0; i++) {
        int error = device_nv_read(t, indexes[i], c->der, sizeof c->der, &c->len);
        if (error == BYTES_E_NOT_FOUND) {
            continue;
        }
        if (error != 0) {
            return error;
        }
        c->index = indexes[i];
        const struct bytes der = ek_stored_certificate(bytes_of(c->der, c->len));
        memmove(c->der, der.p, der.len);
        c->len = der.len;
    }
    (void)crypto_certificate_parse(bytes_of(c->der, c->index != 0 ? c->len : 0), &c->read);
    return 0;
}

static bool is_for_rsa(const struct certificate *c)
{
    return crypto_key_is_rsa(c->read.key.kind);
}

/* Trailing padding of the NV area is not part of the certificate. */
static struct bytes certificate_der(const struct certificate *c)
{
    return c->read.der.len > 0 ? c->read.der : bytes_of(c->der, c->len);
}

static bool is_key_of(struct bytes ek_2b, const struct certificate *c)
{
    struct tpm2_public area;
    if (tpm2_public_parse_2b(ek_2b, &area) != 0) {
        return false;
    }
    const struct crypto_rsa_public key = tpm2_public_rsa(&area);
    return bytes_equal_public(key.modulus, c->read.key.rsa.modulus) &&
           key.exponent == c->read.key.rsa.exponent;
}

/* Someone has made another EK persistent. To find out which tool did, make both EKs and compare. */
static void explain_persistent(struct device_tool *t, const struct certificate *c, FILE *out)
{
    const struct dps_device *d = &t->engine;
    const struct tpm2_public templates[] = {tpm2_template_ek_l1(), tpm2_template_ek_azure_sdk()};
    static const char *const options[] = {"l1", "azure-sdk"};
    static const char *const makers[] = {
        "a tool that follows the TCG's template L-1",
        "an Azure SDK (C, Node or Java), whose template has an empty \"unique\""};
    const char *maker = "a tool with a template of its own";
    const char *right = NULL;
    for (size_t i = 0; i < 2; i++) {
        uint8_t ek[DPS_EK_PUBLIC_MAX];
        size_t len;
        if (device_derive_ek(t, &templates[i], ek, &len) != 0) {
            continue;
        }
        if (bytes_equal_public(bytes_of(ek, len), bytes_of(d->ek, d->ek_len))) {
            maker = makers[i];
        }
        if (is_key_of(bytes_of(ek, len), c)) {
            right = options[i];
        }
    }
    fprintf(out,
            "the persistent EK at 0x%08X contradicts the EK certificate: probably created by %s. The service "
            "sees the "
            "persistent one. ",
            TPM2_HANDLE_EK, maker);
    if (right != NULL) {
        fprintf(out,
                "For the certificate's key, evict it (tpm2_evictcontrol -C o -c 0x%08X) and use "
                "--ek-template %s; "
                "whoever enrolled the old key must then enroll the new one.\n",
                TPM2_HANDLE_EK, right);
    } else {
        fputs("Neither template gives the certificate's key: the vendor used one of its own.\n", out);
    }
}

static void explain_mismatch(struct device_tool *t, const struct certificate *c, FILE *out)
{
    fputs(out == stdout ? "EK certificate    " : "dps-device: EK certificate: ", out);
    if (t->engine.ek_handle == TPM2_HANDLE_EK) {
        explain_persistent(t, c, out);
    } else if (t->config.ek_template == DPS_EK_AZURE_SDK) {
        fputs("is for another key, as expected: --ek-template azure-sdk gives a key that no vendor "
              "certifies; "
              "--ek-template l1 gives the certified one\n",
              out);
    } else {
        fprintf(out,
                "is for another key than template L-1 gives: the vendor used a template or nonce of its own "
                "(NV 0x%08X, "
                "0x%08X); this program does not support that\n",
                TPM2_NV_EK_NONCE_RSA2048, TPM2_NV_EK_TEMPLATE_RSA2048);
    }
}

static void describe_certificate(struct device_tool *t, const struct certificate *c, bool text)
{
    FILE *out = text ? stdout : stderr;
    if (is_for_rsa(c) && !is_key_of(bytes_of(t->engine.ek, t->engine.ek_len), c)) {
        explain_mismatch(t, c, out);
    } else if (!text) {
        return; /* the other forms are for programs; only a contradiction is worth a line beside them */
    } else if (c->index == 0) {
        puts("EK certificate    none in this TPM: whether its vendor made it must be known from elsewhere");
    } else if (c->read.der.len == 0) {
        printf("EK certificate    at NV 0x%08X, but it cannot be read as X.509\n", (unsigned)c->index);
    } else if (!is_for_rsa(c)) {
        char key[PKI_KEY_TEXT_MAX];
        pki_key_text(&c->read.key, key);
        printf("EK certificate    at NV 0x%08X, for a key that is %s, not RSA\n", (unsigned)c->index, key);
    } else {
        printf("EK certificate    at NV 0x%08X, %zu bytes, for this EK\n", (unsigned)c->index,
               certificate_der(c).len);
    }
}

static int save_certificate(const char *path, const struct certificate *c)
{
    if (c->index != 0) {
        return device_output(path, certificate_der(c));
    }
    device_say("there is no EK certificate in this TPM (NV 0x%08X, 0x%08X): some vendors publish it on the "
               "web instead",
               TPM2_NV_EK_CERTIFICATE_RSA2048, TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH);
    return POSIX_EXIT_TPM;
}

/* ---- The command ---- */

static void print_text(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    printf("Registration ID   %s\n", d->registration_id);
    if (d->ek_handle == TPM2_HANDLE_EK) {
        printf("EK                persistent at 0x%08X%s\n", TPM2_HANDLE_EK,
               t->options.ek_template != NULL ? ": --ek-template would matter only without it" : "");
    } else {
        printf("EK                derived from the TPM's seed by template %s\n",
               t->config.ek_template == DPS_EK_L1 ? "L-1 (TCG)" : "azure-sdk");
    }
    device_print_ek_digest(t, 18);
    puts("                  as TPM2B_PUBLIC, base64:");
    print_base64(bytes_of(d->ek, d->ek_len));
    puts("                  as PEM:");
    print_pem(t);
    puts("Enrollment        for dps-admin or the portal:");
    print_enrollment(t);
}

static void print_2b_base64(const struct device_tool *t)
{
    print_base64(bytes_of(t->engine.ek, t->engine.ek_len));
}

static void print_2b(const struct device_tool *t)
{
    fwrite(t->engine.ek, 1, t->engine.ek_len, stdout);
}

struct form {
    const char *name;
    void (*print)(const struct device_tool *t);
};

static const struct form *form_called(const char *name)
{
    static const struct form forms[] = {
        {"text", print_text}, {"base64", print_2b_base64}, {"pem", print_pem}, {"json", print_enrollment},
        {"2b", print_2b},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (name == NULL || strcmp(name, forms[i].name) == 0) {
            return &forms[i];
        }
    }
    device_say("--format is text, base64, pem, json or 2b (the bytes of TPM2B_PUBLIC), not \"%s\"", name);
    return NULL;
}

static int read_ek(struct device_tool *t)
{
    int exit_code = device_seed(t);
    if (exit_code != 0) {
        return exit_code;
    }
    int error = dps_device_read_ek(&t->engine, &t->config, t->seed);
    if (error == 0) {
        error = port_drive(&t->drive, &t->port, NULL, &t->engine);
    }
    return error != 0 ? device_report(t, error) : 0;
}

int device_ek(struct device_tool *t)
{
    static struct certificate certificate;
    const struct form *form = form_called(t->options.format);
    if (form == NULL) {
        return POSIX_EXIT_USAGE;
    }
    int exit_code = device_take_id(t);
    if (exit_code == 0) {
        exit_code = device_open(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    device_warn_software(t);
    exit_code = read_ek(t);
    if (exit_code != 0) {
        return exit_code;
    }
    const int error = read_certificate(t, &certificate);
    if (error != 0 && t->options.certificate != NULL) {
        return device_report_tpm(t, "the EK certificate", error);
    }
    form->print(t);
    if (error == 0) {
        describe_certificate(t, &certificate, form->print == print_text);
    } else {
        (void)device_report_tpm(t, "the EK certificate", error);
    }
    return t->options.certificate != NULL ? save_certificate(t->options.certificate, &certificate) : 0;
}
