/* SPDX-License-Identifier: MIT */
/* Step 2, the vendor's end: every form in which people have an endorsement key leads to the same bytes, and
 * anything else is named. The DER is made here, byte by byte, from one modulus. */
#include "dps/protocol/text.h"
#include "port/posix/paste/ek_forms.h"
#include "tests/unit/test.h"
#include "tpm/public.h"
#include <stdio.h>
#include <string.h>

static uint8_t modulus[256], expected[DPS_EK_PUBLIC_MAX];
static size_t expected_len;
static struct ek ek;
static char why[512];

static void write_integer(struct bytes_writer *w, struct bytes number)
{
    static const uint8_t begin[] = {0x02, 0x82, 0x01, 0x01, 0x00};
    bytes_write_bytes(w, bytes_of(begin, sizeof begin));
    bytes_write_bytes(w, number);
}

static void write_pkcs1(struct bytes_writer *w, uint8_t exponent_low)
{
    static const uint8_t begin[] = {0x30, 0x82, 0x01, 0x0a}, end[] = {0x02, 0x03, 0x01, 0x00};
    bytes_write_bytes(w, bytes_of(begin, sizeof begin));
    write_integer(w, bytes_of(modulus, sizeof modulus));
    bytes_write_bytes(w, bytes_of(end, sizeof end));
    bytes_write_u8(w, exponent_low);
}

static void write_spki(struct bytes_writer *w)
{
    static const uint8_t begin[] = {0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                    0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00};
    bytes_write_bytes(w, bytes_of(begin, sizeof begin));
    write_pkcs1(w, 1);
}

static void write_pem(struct bytes_writer *w, const char *label, struct bytes der)
{
    uint8_t base64[1024];
    struct bytes_writer text = bytes_writer_over(base64, sizeof base64);
    dps_write_base64(&text, der);
    dps_write_text(w, "-----BEGIN ");
    dps_write_text(w, label);
    dps_write_text(w, "-----\r\n");
    for (size_t i = 0; i < text.len; i += 64) {
        bytes_write_bytes(w, bytes_of(base64 + i, text.len - i < 64 ? text.len - i : 64));
        dps_write_text(w, "\r\n");
    }
    dps_write_text(w, "-----END ");
    dps_write_text(w, label);
    dps_write_text(w, "-----\r\n");
}

static void setup(void)
{
    struct tpm2_public area = tpm2_template_ek_l1();
    struct bytes_writer w = bytes_writer_over(expected, sizeof expected);
    for (size_t i = 0; i < sizeof modulus; i++) {
        modulus[i] = (uint8_t)(0xC1 + 2 * i);
    }
    modulus[0] |= 0x80;
    modulus[255] |= 1;
    area.unique = bytes_of(modulus, sizeof modulus);
    tpm2_public_write_2b(&w, &area);
    expected_len = w.len;
}

static bool reads(struct bytes input, const char *form, bool from_modulus)
{
    bool good = ek_read(input, &ek, why, sizeof why) == 0 && strcmp(ek.form, form) == 0 &&
                ek.from_modulus == from_modulus &&
                bytes_equal_public(bytes_of(ek.public_2b, ek.len), bytes_of(expected, expected_len));
    if (!good) {
        printf("# %s: %s\n", ek.form, why);
    }
    return good;
}

/* Refused, and the sentence has this in it. */
static bool refused(struct bytes input, const char *part)
{
    bool good = ek_read(input, &ek, why, sizeof why) < 0 && strstr(why, part) != NULL;
    if (!good) {
        printf("# %s: %s\n", ek.form, why);
    }
    return good;
}

/* Cut anywhere it is not a key, and with any byte changed nothing worse happens than another key or none. */
static int survives_damage(struct bytes input, size_t shortest)
{
    uint8_t copy[2048];
    CHECK(input.len <= sizeof copy);
    for (size_t len = 0; len < input.len; len++) {
        memcpy(copy, input.p, len);
        int error = ek_read(bytes_of(copy, len), &ek, why, sizeof why);
        CHECK(len >= shortest || (error < 0 && why[0] != 0));
    }
    memcpy(copy, input.p, input.len);
    for (size_t i = 0; i < input.len; i++) {
        copy[i] ^= 0x41;
        (void)ek_read(bytes_of(copy, input.len), &ek, why, sizeof why);
        copy[i] ^= 0x41;
    }
    return 0;
}

static int s02_binary_forms(void)
{
    uint8_t buffer[1024];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    setup();
    CHECK(reads(bytes_of(expected, expected_len), "TPM2B_PUBLIC", false));
    CHECK(reads(bytes_of(expected + 2, expected_len - 2), "TPMT_PUBLIC", false));
    CHECK(reads(bytes_of(modulus, sizeof modulus), "RSA modulus", true));
    CHECK_EQUAL(survives_damage(bytes_of(expected, expected_len), expected_len), 0);
    CHECK_EQUAL(survives_damage(bytes_of(expected + 2, expected_len - 2), expected_len - 2), 0);
    write_pkcs1(&w, 1);
    CHECK(reads(bytes_written(&w), "DER: RSA public key (PKCS#1)", true));
    CHECK_EQUAL(survives_damage(bytes_written(&w), w.len), 0);
    w = bytes_writer_over(buffer, sizeof buffer);
    write_spki(&w);
    CHECK(reads(bytes_written(&w), "DER: public key (SubjectPublicKeyInfo)", true));
    CHECK_EQUAL(survives_damage(bytes_written(&w), w.len), 0);
    return 0;
}

static int s02_text_forms(void)
{
    uint8_t der[512], text[4096];
    struct bytes_writer d = bytes_writer_over(der, sizeof der);
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    setup();
    dps_write_text(&w, "\n ");
    dps_write_base64(&w, bytes_of(expected, expected_len));
    dps_write_text(&w, "\r\n");
    CHECK(reads(bytes_written(&w), "base64: TPM2B_PUBLIC", false));
    CHECK_EQUAL(survives_damage(bytes_written(&w), w.len - 4), 0); /* without its padding it is whole */
    w = bytes_writer_over(text, sizeof text);
    for (size_t i = 0; i < expected_len; i += 30) { /* as xxd -p prints it */
        dps_write_hex(&w, bytes_of(expected + i, expected_len - i < 30 ? expected_len - i : 30));
        dps_write_text(&w, "\n");
    }
    CHECK(reads(bytes_written(&w), "hex: TPM2B_PUBLIC", false));
    w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, bytes_of(modulus, sizeof modulus));
    CHECK(reads(bytes_written(&w), "hex: RSA modulus", true));
    write_spki(&d);
    w = bytes_writer_over(text, sizeof text);
    dps_write_base64(&w, bytes_written(&d));
    CHECK(reads(bytes_written(&w), "base64: DER: public key (SubjectPublicKeyInfo)", true));
    w = bytes_writer_over(text, sizeof text);
    dps_write_text(&w, "# the EK of the machine in the corner\n");
    write_pem(&w, "PUBLIC KEY", bytes_written(&d));
    CHECK(reads(bytes_written(&w), "PEM: public key (SubjectPublicKeyInfo)", true));
    d = bytes_writer_over(der, sizeof der);
    write_pkcs1(&d, 1);
    w = bytes_writer_over(text, sizeof text);
    write_pem(&w, "RSA PUBLIC KEY", bytes_written(&d));
    CHECK(reads(bytes_written(&w), "PEM: RSA public key (PKCS#1)", true));
    CHECK_EQUAL(survives_damage(bytes_written(&w), w.len - 30), 0);
    return 0;
}

static int s02_json_forms(void)
{
    static const char *const around[][2] = {
        {"{\"registrationId\":\"a\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"",
         "\"}}}"},
        {" {\"tpm\":{\"storageRootKey\":\"x\",\"endorsementKey\":\"", "\"}} \n"},
        {"{\"endorsementKey\":\"", "\"}"},
    };
    uint8_t text[4096];
    setup();
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        struct bytes_writer w = bytes_writer_over(text, sizeof text);
        dps_write_text(&w, around[i][0]);
        dps_write_base64(&w, bytes_of(expected, expected_len));
        dps_write_text(&w, around[i][1]);
        CHECK(reads(bytes_written(&w), "JSON: base64: TPM2B_PUBLIC", false));
        CHECK_EQUAL(survives_damage(bytes_written(&w), w.len - strlen(around[i][1]) - 2),
                    0); /* a whole key */
    }
    CHECK(refused(bytes_of_text("{}"), "endorsementKey"));
    CHECK(refused(bytes_of_text("{\"endorsementKey\":7}"), "endorsementKey"));
    CHECK(refused(bytes_of_text("{\"endorsementKey\":\"\"}"), "empty"));
    return 0;
}

static int s02_other_keys(void)
{
    static const uint8_t context[] = {0xBA, 0xDC, 0xC0, 0xDE, 0, 0, 0, 1};
    static const uint8_t elliptic[] = {0x00, 0x06, 0x00, 0x23, 0x00, 0x0b, 0x00, 0x03};
    static const uint8_t elliptic_der[] = {0x30, 0x13, 0x30, 0x0d, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                           0x02, 0x01, 0x06, 0x02, 0x2a, 0x03, 0x03, 0x02, 0x00, 0x04};
    static uint8_t large[EK_INPUT_MAX + 1];
    uint8_t buffer[1024];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    setup();
    struct tpm2_public srk = tpm2_template_srk();
    srk.unique = bytes_of(modulus, sizeof modulus);
    tpm2_public_write_2b(&w, &srk);
    CHECK(refused(bytes_written(&w), "storage root key"));
    struct tpm2_public area = tpm2_template_ek_l1();
    area.unique = bytes_of(modulus, sizeof modulus);
    area.attributes &= ~(uint32_t)TPM2_OBJECT_FIXED_TPM;
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_public_write_2b(&w, &area);
    CHECK(refused(bytes_written(&w), "template"));
    w = bytes_writer_over(buffer, sizeof buffer);
    write_pkcs1(&w, 3);
    CHECK(refused(bytes_written(&w), "exponent"));
    modulus[255] &= 0xFE;
    CHECK(refused(bytes_of(modulus, sizeof modulus), "modulus"));
    CHECK(refused(bytes_of(context, sizeof context), "context file"));
    CHECK(refused(bytes_of(elliptic, sizeof elliptic), "elliptic"));
    CHECK(refused(bytes_of(elliptic + 2, sizeof elliptic - 2), "elliptic"));
    CHECK(refused(bytes_of(elliptic_der, sizeof elliptic_der), "elliptic"));
    CHECK(refused(bytes_of(expected, 200), "316 bytes, but there are 200"));
    CHECK(refused(bytes_of_text(""), "empty"));
    CHECK(refused(bytes_of_text(" \n"), "empty"));
    CHECK(refused(bytes_of_text("hello, world"), "neither"));
    CHECK(refused(bytes_of_text("-----BEGIN PUBLIC KEY-----\nMIIB"), "cut off"));
    CHECK(refused(bytes_of_text("-----BEGIN "), "cut off"));
    CHECK(refused(bytes_of_text("-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----"), "base64"));
    CHECK(refused(bytes_of_text("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"),
                  "keep it"));
    CHECK(refused(bytes_of_text("-----BEGIN TSS2 PRIVATE KEY-----\nMIIB\n-----END TSS2 PRIVATE KEY-----"),
                  "TSS2"));
    CHECK(refused(bytes_of(large, sizeof large), "larger"));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s02_binary_forms", s02_binary_forms},
        {"s02_text_forms", s02_text_forms},
        {"s02_json_forms", s02_json_forms},
        {"s02_other_keys", s02_other_keys},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
