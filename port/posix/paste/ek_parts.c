/* SPDX-License-Identifier: MIT */
/* Keys that a tool has printed part by part: tpm2-tools' YAML, and moduli as OpenSSL and .NET show them. */
#include "dps/protocol/text.h"
#include "port/posix/paste/ek_private.h"
#include "port/posix/paste/paste.h"
#include "tpm/tpm2.h"
#include <ctype.h>
#include <string.h>

/* ---- tpm2_readpublic, tpm2_createek, tpm2_print ---- */

/* The rest of the first line "key: rest", at any indentation; *after is what follows it. */
static bool yaml_line(struct bytes text, const char *key, struct bytes *value, struct bytes *after)
{
    const struct bytes wanted = bytes_of_text(key);
    while (text.len > 0) {
        const struct bytes line = paste_trimmed(paste_next_line(&text));
        if (line.len > wanted.len && bytes_equal_public(bytes_of(line.p, wanted.len), wanted) &&
            line.p[wanted.len] == ':') {
            *value = paste_trimmed(bytes_of(line.p + wanted.len + 1, line.len - wanted.len - 1));
            *after = text;
            return true;
        }
    }
    return false;
}

/* "0xb", "2048" */
static bool yaml_number(struct bytes text, uint32_t *value)
{
    const bool hex = text.len > 2 && text.p[0] == '0' && dps_lower(text.p[1]) == 'x';
    const struct bytes digits = hex ? bytes_of(text.p + 2, text.len - 2) : text;
    *value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        const uint8_t digit = dps_hex_digit(digits.p[i]);
        if (digit >= (hex ? 16 : 10) || i > 9) {
            return false;
        }
        *value = *value * (hex ? 16 : 10) + digit;
    }
    return digits.len > 0;
}

/* A number, or a name with its number below:
 *   name-alg:
 *     value: sha256
 *     raw: 0xb */
static bool yaml_raw(struct bytes text, const char *key, uint32_t *number)
{
    struct bytes value, after;
    if (!yaml_line(text, key, &value, &after)) {
        return false;
    }
    if (value.len == 0) {
        const struct bytes name = paste_trimmed(paste_next_line(&after));
        const struct bytes raw = paste_trimmed(paste_next_line(&after));
        return paste_begins(name, "value:") && paste_begins(raw, "raw:") &&
               yaml_number(paste_trimmed(bytes_of(raw.p + 4, raw.len - 4)), number);
    }
    return yaml_number(value, number);
}

/* What is not there is left out, and then the area does not read. */
static void write_u16(struct bytes_writer *w, struct bytes text, const char *key, uint32_t *number)
{
    if (yaml_raw(text, key, number)) {
        bytes_write_u16(w, (uint16_t)*number);
    } else {
        *number = TPM2_ALG_NULL;
    }
}

static void write_yaml_2b(struct bytes_writer *w, struct bytes text, const char *key)
{
    uint8_t bytes[512];
    size_t len = 0;
    const char *form;
    struct bytes value, after;
    if (yaml_line(text, key, &value, &after) && paste_bytes(value, bytes, sizeof bytes, &len, &form) != 0) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
    bytes_write_2b(w, bytes_of(bytes, len));
}

/* TPMT_PUBLIC [P2 r1.59 12.2.4], from its parts. */
static void write_area(struct bytes_writer *w, struct bytes text, uint32_t *type)
{
    static const char attributes[] = "attributes";
    uint32_t number, exponent = 0;
    write_u16(w, text, "type", type);
    write_u16(w, text, "name-alg", &number);
    if (yaml_raw(text, attributes, &number)) {
        bytes_write_u32(w, number);
    }
    write_yaml_2b(w, text, "authorization policy");
    write_u16(w, text, "sym-alg", &number);
    if (number != TPM2_ALG_NULL) {
        write_u16(w, text, "sym-keybits", &number);
        write_u16(w, text, "sym-mode", &number);
    }
    write_u16(w, text, "scheme", &number);
    if (number != TPM2_ALG_NULL) {
        write_u16(w, text, "scheme-halg", &number);
    }
    if (*type == TPM2_ALG_ECC) {
        write_u16(w, text, "curve-id", &number);
        write_u16(w, text, "kdfa-alg", &number);
        write_yaml_2b(w, text, "x");
        write_yaml_2b(w, text, "y");
        return;
    }
    write_u16(w, text, "bits", &number);
    (void)yaml_raw(text, "exponent", &exponent);
    bytes_write_u32(w, exponent);
    write_yaml_2b(w, text, "rsa");
}

int ek_read_tpm2_tools(struct ek_reading *r, struct bytes text)
{
    uint8_t area[1024];
    uint32_t type;
    struct bytes value, after;
    struct bytes_writer w = bytes_writer_over(area, sizeof area);
    if (!yaml_line(text, "name-alg", &value, &after) || !yaml_line(text, "attributes", &value, &after)) {
        return BYTES_E_NOT_FOUND;
    }
    write_area(&w, text, &type);
    if (w.error != 0) {
        ek_add_form(r, "tpm2_readpublic");
        return ek_refuse(r, BYTES_E_FORMAT, "the digits of the key or of its policy are incomplete");
    }
    return ek_read_tpmt(r, "tpm2_readpublic", bytes_written(&w));
}

/* ---- Modulus ---- */

/* After the name: "=", ":", " (2048 bit):", ">", "\": \"". */
static struct bytes behind_name(struct bytes text)
{
    size_t i = 0;
    while (i < text.len && i < 24 && strchr("=:>", text.p[i]) == NULL) {
        i++;
    }
    text = i < text.len ? bytes_of(text.p + i + 1, text.len - i - 1) : bytes_of(text.p, 0);
    return paste_trimmed(text);
}

/* "00:99:14:..." over several lines; it ends before the first line that has anything else in it. */
static struct bytes hex_lines(struct bytes text)
{
    size_t i = 0, whole = 0;
    while (i < text.len && (dps_hex_digit(text.p[i]) < 16 || text.p[i] == ':' || isspace(text.p[i]))) {
        i++;
        whole = text.p[i - 1] == '\n' ? i : whole;
    }
    return bytes_of(text.p, i == text.len || whole == 0 ? i : whole);
}

static struct bytes word(struct bytes text)
{
    size_t i = 0;
    while (i < text.len && text.p[i] > ' ' && text.p[i] < 0x7F && text.p[i] != '<' && text.p[i] != '"') {
        i++;
    }
    return bytes_of(text.p, i);
}

/* openssl rsa -modulus "Modulus=9914...", -text "Modulus:\n 00:99:14:...", .NET's "<Modulus>mRTv...</Modulus>". */
int ek_read_modulus(struct ek_reading *r, struct bytes text)
{
    enum { SMALLEST = 128 }; /* RSA-1024; shorter ones are something else */
    uint8_t bytes[1024];
    const char *form;
    size_t len;
    for (size_t at; (at = paste_find(text, "modulus")) < text.len;) {
        text = bytes_of(text.p + at + 7, text.len - at - 7);
        const struct bytes value = behind_name(text);
        const struct bytes candidates[] = {hex_lines(value), word(value)};
        for (size_t i = 0; i < 2; i++) {
            if (paste_bytes(candidates[i], bytes, sizeof bytes, &len, &form) == 0 && len >= SMALLEST) {
                return ek_take_modulus(r, "RSA modulus", bytes_of(bytes, len));
            }
        }
    }
    return BYTES_E_NOT_FOUND;
}
