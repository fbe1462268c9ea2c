/* SPDX-License-Identifier: MIT */
/* Endorsement keys in text. Encoding, then what is wrapped around the key, then the text form, then the bytes; what is
 * found inside of a wrapping is read in the same way. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/paste/ek_private.h"
#include "port/posix/paste/paste.h"
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 4 /* JSON, in it base64, in it PEM, and one to spare */

/* The whole of it, which wrappings lead back to. */
static int read_text(struct ek_reading *r, struct bytes text);

/* ---- Several things, one of which should be the key ---- */

/* The key that was found; or the most telling refusal of what was not one. */
struct choice {
    struct ek_reading *r;
    struct ek found, refused;
    size_t count; /* different keys */
    int rank, error;
    char why[256];
};

static struct choice choose(struct ek_reading *r)
{
    return (struct choice){.r = r, .error = BYTES_E_FORMAT};
}

/* How telling it is that something is not a key: much if it is called one, more than that it is another kind of key. */
enum { RANK_ANYTHING = 1, RANK_KEY = 2, RANK_NAMED = 3 };

static void consider(struct choice *c, struct bytes candidate, int rank,
                     int (*read)(struct ek_reading *r, struct bytes candidate))
{
    struct ek ek = *c->r->ek;
    char why[sizeof c->why] = "";
    struct ek_reading inner = {
        .ek = &ek, .why = why, .why_size = sizeof why, .depth = c->r->depth + 1, .bare = rank == RANK_NAMED};
    const int error = read(&inner, candidate);
    if (error == BYTES_E_NOT_FOUND) {
        return;
    }
    if (error == 0) {
        const struct bytes key = bytes_of(ek.public_2b, ek.len);
        if (c->count == 0) {
            c->found = ek;
        }
        c->count += c->count == 0 ||
                    (c->count == 1 && !bytes_equal_public(key, bytes_of(c->found.public_2b, c->found.len)));
        return;
    }
    if (error == BYTES_E_ALGORITHM && rank < RANK_KEY) {
        rank = RANK_KEY;
    }
    if (rank > c->rank) {
        c->rank = rank;
        c->error = error;
        c->refused = ek;
        memcpy(c->why, why, sizeof why);
    }
}

/* what  "member of it" */
static int chosen(struct choice *c, const char *what)
{
    struct ek_reading *r = c->r;
    if (c->count > 1) {
        return ek_refuse(r, BYTES_E_FORMAT, "there are different endorsement keys in it: give one of them");
    }
    if (c->count == 1) {
        *r->ek = c->found;
        return 0;
    }
    if (c->rank > 0) {
        *r->ek = c->refused;
        snprintf(r->why, r->why_size, "%s", c->why);
        return c->error;
    }
    return ek_refuse(r, BYTES_E_FORMAT, "no %s is an endorsement key", what);
}

/* ---- PEM ---- */

static size_t pem_at(struct bytes text)
{
    return paste_find(text, "-----BEGIN");
}

/* As JSON, shells and environment files write line ends: \n is two characters. */
static struct bytes without_escapes(struct bytes text, uint8_t out[EK_INPUT_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const bool escape = text.p[i] == '\\' && i + 1 < text.len;
        i += escape ? 1 : 0;
        const bool line_end = escape && strchr("nrt", text.p[i]) != NULL && text.p[i] != 0;
        out[len++] = line_end ? '\n' : text.p[i];
    }
    return bytes_of(out, len);
}

static int read_pem(struct ek_reading *r, struct bytes text)
{
    uint8_t plain[EK_INPUT_MAX];
    const size_t at = pem_at(text); /* openssl x509 -text and others write comments before the object */
    if (at == text.len) {
        return BYTES_E_NOT_FOUND;
    }
    text = bytes_of(text.p + at, text.len - at);
    return ek_read_pem(r, paste_find(text, "\\") < text.len ? without_escapes(text, plain) : text);
}

/* ---- JSON ---- */

static int read_modulus_member(struct ek_reading *r, struct bytes text)
{
    uint8_t bytes[EK_INPUT_MAX];
    size_t len;
    const char *form;
    const int error = paste_bytes(text, bytes, sizeof bytes, &len, &form);
    return error != 0 ? BYTES_E_NOT_FOUND : ek_take_modulus(r, "RSA modulus", bytes_of(bytes, len));
}

/* [1,58,0,...] */
static int read_numbers(struct ek_reading *r, struct bytes array)
{
    uint8_t bytes[EK_INPUT_MAX];
    size_t len, cursor = 0;
    const char *form;
    struct bytes name, first;
    if (!dps_json_next(array, &cursor, &name, &first) || dps_json_kind(first) != DPS_JSON_NUMBER ||
        paste_bytes(array, bytes, sizeof bytes, &len, &form) != 0) {
        return BYTES_E_NOT_FOUND;
    }
    ek_add_form(r, form);
    return ek_read_bytes(r, bytes_of(bytes, len));
}

/* {"kty":"EC","crv":"P-384",...} [RFC 7518 6.2.1] */
static int read_jwk_curve(struct ek_reading *r, struct bytes curve)
{
    char kind[64];
    ek_add_form(r, "JSON web key");
    snprintf(kind, sizeof kind, "an elliptic-curve key (%.*s)", curve.len < 16 ? (int)curve.len : 16,
             (const char *)curve.p);
    return ek_refuse_kind(r, kind);
}

/* How a member of this name is read; a member of any other name is read as whatever it turns out to be. */
static const struct {
    const char *name;
    int rank;
    int (*read)(struct ek_reading *r, struct bytes value);
} members[] = {
    {"endorsementKey", RANK_NAMED, read_text},
    {"ek", RANK_NAMED, read_text},
    {"ekPub", RANK_NAMED, read_text},
    {"n", RANK_ANYTHING, read_modulus_member}, /* [RFC 7518 6.3.1.1] */
    {"modulus", RANK_NAMED, read_modulus_member},
    {"rsa", RANK_ANYTHING, read_modulus_member},
    {"crv", RANK_ANYTHING, read_jwk_curve},
};

static void consider_member(struct choice *c, struct bytes name, struct bytes value)
{
    uint8_t text[EK_INPUT_MAX];
    size_t len, i = 0;
    if (dps_json_kind(value) == DPS_JSON_ARRAY) {
        consider(c, value, RANK_ANYTHING, read_numbers);
    }
    if (dps_json_string(value, text, sizeof text, &len) != 0) {
        return;
    }
    while (i < sizeof members / sizeof members[0] &&
           !dps_text_equal_nocase(name, bytes_of_text(members[i].name))) {
        i++;
    }
    if (i < sizeof members / sizeof members[0]) {
        consider(c, bytes_of(text, len), members[i].rank, members[i].read);
    } else {
        consider(c, bytes_of(text, len), 0, read_text);
    }
}

/* At any depth: enrollments, arrays of them, what other tools show. dps_json_check has limited the nesting, and with it
 * this recursion. */
static void consider_members(struct choice *c, struct bytes container)
{
    struct bytes name, value;
    size_t cursor = 0;
    const enum dps_json_kind kind = dps_json_kind(container);
    if (kind != DPS_JSON_OBJECT && kind != DPS_JSON_ARRAY) {
        return;
    }
    while (dps_json_next(container, &cursor, &name, &value)) {
        consider_member(c, name, value);
        consider_members(c, value);
    }
}

static int read_json(struct ek_reading *r, struct bytes text)
{
    struct bytes root;
    if ((text.p[0] != '{' && text.p[0] != '[') || dps_json_check(text, &root) != 0) {
        return BYTES_E_NOT_FOUND;
    }
    ek_add_form(r, "JSON");
    struct choice c = choose(r);
    consider_member(&c, bytes_of(NULL, 0), root);
    consider_members(&c, root);
    return chosen(&c, "member of it, such as endorsementKey,");
}

/* ---- Bytes as text ---- */

static int read_form(struct ek_reading *r, struct bytes text)
{
    uint8_t bytes[EK_INPUT_MAX];
    size_t len;
    const char *form;
    if (paste_bytes(text, bytes, sizeof bytes, &len, &form) != 0) {
        return BYTES_E_NOT_FOUND;
    }
    ek_add_form(r, form);
    if (paste_is_text(bytes_of(bytes, len))) { /* base64 of a PEM file */
        r->depth++;
        return read_text(r, bytes_of(bytes, len));
    }
    return ek_read_bytes(r, bytes_of(bytes, len));
}

/* Several dumps in one text, as certutil shows a certificate. */
static int read_dumps(struct ek_reading *r, struct bytes text)
{
    enum { SMALLEST = 64 };
    uint8_t bytes[EK_INPUT_MAX];
    struct paste_dump d = {.rest = text};
    struct choice c = choose(r);
    size_t len;
    int error;
    bool any = false;
    while ((error = paste_dump_next(&d, bytes, sizeof bytes, &len)) != BYTES_E_NOT_FOUND) {
        if (error == 0 && len >= SMALLEST) {
            any = true;
            consider(&c, bytes_of(bytes, len), RANK_ANYTHING, ek_read_bytes);
        }
    }
    if (!any || (c.count == 0 && c.rank < RANK_KEY)) {
        return BYTES_E_NOT_FOUND;
    }
    return chosen(&c, "hexdump in it");
}

/* ---- Words: what any tool prints beside names of its own ---- */

static bool is_word(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("+/=-_%", c) != NULL);
}

/* '=' ends a word, as padding or as that of EK=AToA... */
static size_t word_at(struct bytes text, size_t at)
{
    size_t len = 0;
    while (at + len < text.len && is_word(text.p[at + len]) &&
           (len == 0 || text.p[at + len - 1] != '=' || text.p[at + len] == '=')) {
        len++;
    }
    return len;
}

/* A long word may be folded: then it goes on in the next line. */
static size_t folded_word_at(struct bytes text, size_t at)
{
    enum { FOLDED = 60 }; /* lines have 64, 76 or more */
    size_t len = word_at(text, at), part = len;
    while (part >= FOLDED && text.p[at] != '-') {
        size_t next = at + len;
        while (next < text.len && strchr(" \t\r\n", text.p[next]) != NULL && text.p[next] != 0) {
            next++;
        }
        part = word_at(text, next);
        if (part == 0 || next == at + len) {
            break;
        }
        len = next + part - at;
    }
    return len;
}

/* "Endorsement Key:\nAToA...", "ek = 013a..." */
static int read_words(struct ek_reading *r, struct bytes text)
{
    enum { SMALLEST = 300 }; /* a modulus of RSA-2048 has 342 characters in base64 */
    struct choice c = choose(r);
    bool any = false;
    for (size_t at = 0; at < text.len;) {
        size_t len = word_at(text, at);
        if (len < SMALLEST) {
            len = folded_word_at(text, at);
        }
        if (len >= SMALLEST && len < text.len) {
            any = true;
            consider(&c, bytes_of(text.p + at, len), RANK_ANYTHING, read_form);
        }
        at += len > 0 ? len : 1;
    }
    return any ? chosen(&c, "long word of it") : BYTES_E_NOT_FOUND;
}

/* ---- The whole ---- */

/* The first that knows the text decides. */
static const struct {
    const char *example;
    int (*read)(struct ek_reading *r, struct bytes text);
} wrappings[] = {
    {"-----BEGIN PUBLIC KEY-----, with line ends or \\n", read_pem},
    {"{\"attestation\":{\"tpm\":{\"endorsementKey\":\"AToA...\"}}}", read_json},
    {"name-alg: and so on, as tpm2_readpublic prints it", ek_read_tpm2_tools},
    {"AToA..., 013a..., 01:3a:..., a hexdump", read_form},
    {"Modulus=9914EF28...", ek_read_modulus},
    {"hexdumps beside other text", read_dumps},
    {"Endorsement Key: AToA...", read_words},
};

/* What people give instead of a key. */
static const struct {
    const char *part, *says;
} mistakes[] = {
    {"PublicKeyHash",
     "it is what Get-TpmEndorsementKeyInfo prints, with a hash of the key in place of the key: give what "
     "[Convert]::ToBase64String((Get-TpmEndorsementKeyInfo).PublicKey.RawData) prints"},
    {"- 0x81", "it is a list of handles: give the file that tpm2_readpublic -c 0x81010001 -o FILE writes"},
    {"<html", "it is a web page"},
};

static int refuse_text(struct ek_reading *r, struct bytes text)
{
    if (text.p[0] == '{' || text.p[0] == '[') {
        return ek_refuse(r, BYTES_E_FORMAT, "it begins like JSON, and is malformed");
    }
    return ek_refuse(
        r, BYTES_E_FORMAT,
        "it is text, but neither PEM, base64, hex, a hexdump, JSON, a modulus nor what tpm2_readpublic "
        "prints; perhaps a piece of it is missing");
}

static const char *mistake_in(struct bytes text)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        if (paste_find(text, mistakes[i].part) < text.len) {
            return mistakes[i].says;
        }
    }
    return NULL;
}

static int read_text(struct ek_reading *r, struct bytes text)
{
    text = paste_trimmed(text);
    if (text.len == 0) {
        return ek_refuse(r, BYTES_E_FORMAT, "it is empty");
    }
    int error = BYTES_E_NOT_FOUND;
    for (size_t i = 0;
         r->depth < DEPTH_MAX && error == BYTES_E_NOT_FOUND && i < sizeof wrappings / sizeof wrappings[0];
         i++) {
        error = wrappings[i].read(r, text);
    }
    const char *mistake = error == BYTES_E_NOT_FOUND || error == BYTES_E_FORMAT ? mistake_in(text) : NULL;
    if (mistake != NULL) {
        r->ek->form[0] = 0;
        return ek_refuse(r, BYTES_E_FORMAT, "%s", mistake);
    }
    return error == BYTES_E_NOT_FOUND ? refuse_text(r, text) : error;
}

int ek_read(struct bytes input, struct ek *ek, char *why, size_t why_size)
{
    uint8_t utf8[EK_INPUT_MAX / 2 * 3];
    struct ek_reading r = {.ek = ek, .why = why, .why_size = why_size, .bare = true};
    enum paste_encoding encoding;
    memset(ek, 0, sizeof *ek);
    if (input.len > EK_INPUT_MAX) {
        return ek_refuse(&r, BYTES_E_FORMAT, "it is larger than any form of an endorsement key");
    }
    const struct bytes text = paste_utf8(input, utf8, sizeof utf8, &encoding);
    if (encoding == PASTE_UTF32) {
        return ek_refuse(&r, BYTES_E_FORMAT, "it is UTF-32: save it as UTF-8");
    }
    if (!paste_is_text(text)) {
        return ek_read_bytes(&r, input);
    }
    if (encoding != PASTE_UTF8) {
        ek_add_form(&r, paste_encoding_name(encoding));
    }
    return read_text(&r, text);
}
