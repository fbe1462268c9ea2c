/* SPDX-License-Identifier: MIT */
/* The same bytes to this project's parsers and to tpm2-tss's marshalling library: both accept, with the same values, or
 * both refuse. Where they differ on purpose, `differences` says why, and with which versions of tpm2-tss; a difference
 * that is not listed for this one fails, and so does a listed one that does not occur. Inputs: the recorded responses,
 * the files of the directories named after the version (in the form of the fuzz harness "response"), and many changes
 * of each, the same ones in every run. TAP. */
#include "tests/differential/marshalled.h"
#include "tests/fuzz/responses.h"
#include "tests/support/versions.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/commands.h"
#include "tpm/tools/explain.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES 12000 /* of each input */
#define BYTES_MAX 2048

struct comparison {
    const struct response_kind *kind;
    const struct layout *layout;
    struct bytes bytes;
    struct response ours;
    struct marshalled theirs;
};

/* ---- The intended differences ---- */

static uint32_t number(struct bytes bytes, size_t at, size_t width)
{
    uint32_t value = 0;
    for (size_t i = 0; i < width && at + i < bytes.len; i++) {
        value = value << 8 | bytes.p[at + i];
    }
    return value;
}

/* We take a TPM2B of any size that the response has room for; their buffers end at what TPMs use today. */
static bool too_long_for_them(const struct comparison *c)
{
    return c->ours.error == 0 && c->theirs.refused != FIELD_END &&
           number(c->theirs.refused_at, 0, 2) > marshalled_room(c->theirs.refused);
}

/* Until 4.1.4 their reader gave up inside, said that all was well, and went on after the size. */
static bool creation_data_unread(const struct comparison *c)
{
    bool skipped = false;
    for (size_t i = 0; c->layout->fields[i] != FIELD_END; i++) {
        const struct bytes field = c->theirs.fields[i];
        skipped = skipped ||
                  (c->layout->fields[i] == FIELD_CREATION_DATA && field.len == 2 && number(field, 0, 2) != 0);
    }
    return c->ours.error == 0 && skipped;
}

/* From then on it refuses what it cannot read. */
static bool creation_data_refused(const struct comparison *c)
{
    return c->ours.error == 0 && c->theirs.refused == FIELD_CREATION_DATA;
}

/* After tag and hierarchy. */
static bool ticket_digest_unread(const struct comparison *c)
{
    return c->ours.error == 0 && c->theirs.refused >= FIELD_TK_CREATION &&
           c->theirs.refused <= FIELD_TK_AUTH &&
           number(c->theirs.refused_at, 6, 2) > marshalled_room(FIELD_DIGEST);
}

static bool capability_unread(const struct comparison *c)
{
    return c->ours.error == 0 && (c->theirs.refused == FIELD_CAPABILITY ||
                                  (c->theirs.left_over && c->layout->command_code == TPM2_CC_GET_CAPABILITY));
}

static bool algorithm_unknown_to_us(const struct comparison *c)
{
    return c->ours.error == BYTES_E_ALGORITHM && c->theirs.accepted;
}

/* Their reader goes by what is inside, ours by both. */
static bool declared_size_ignored(const struct comparison *c)
{
    bool sized = false;
    for (size_t i = 0; c->layout->fields[i] != FIELD_END; i++) {
        const uint8_t kind = c->layout->fields[i];
        const struct bytes field = c->theirs.fields[i];
        sized = sized || ((kind == FIELD_PUBLIC || kind == FIELD_NV_PUBLIC || kind == FIELD_CREATION_DATA) &&
                          field.len >= 2 && number(field, 0, 2) != field.len - 2);
    }
    return sized;
}

static bool empty_structure_taken(const struct comparison *c)
{
    bool empty = false;
    for (size_t i = 0; c->layout->fields[i] != FIELD_END; i++) {
        empty = empty || ((c->layout->fields[i] == FIELD_PUBLIC || c->layout->fields[i] == FIELD_NV_PUBLIC) &&
                          c->theirs.fields[i].len == 2);
    }
    return empty;
}

static bool yes_no_unchecked(const struct comparison *c)
{
    return c->theirs.accepted && c->layout->command_code == TPM2_CC_GET_CAPABILITY &&
           number(c->bytes, 10, 1) > 1;
}

static bool ticket_tag_unchecked(const struct comparison *c)
{
    static const struct {
        uint8_t kind;
        uint16_t tag;
    } tags[] = {{FIELD_TK_CREATION, TPM2_ST_CREATION},
                {FIELD_TK_HASHCHECK, TPM2_ST_HASHCHECK},
                {FIELD_TK_AUTH, TPM2_ST_AUTH_SECRET}};
    bool other = false;
    for (size_t i = 0; c->layout->fields[i] != FIELD_END; i++) {
        for (size_t k = 0; k < sizeof tags / sizeof tags[0]; k++) {
            other = other || (c->layout->fields[i] == tags[k].kind &&
                              number(c->theirs.fields[i], 0, 2) != tags[k].tag);
        }
    }
    return c->theirs.accepted && other;
}

static uint32_t version; /* of tpm2-tss */

static struct difference {
    const char *what;
    const char *why;
    bool (*is)(const struct comparison *c);
    uint32_t from, before; /* versions */
    unsigned long count;
} differences[] = {
    {"they go on at the beginning of creationData whose PCR list is too long",
     "we go on after it, by its size: nothing in it is used", creation_data_unread, VERSION_FIRST,
     VERSION(4, 1, 4), 0},
    {"they refuse creationData that does not hold what it should", "we do not look into it",
     creation_data_refused, VERSION(4, 1, 4), VERSION_NONE, 0},
    {"they ignore the declared size of TPM2B_PUBLIC, TPM2B_NV_PUBLIC and TPM2B_CREATION_DATA",
     "a declared size is exact: otherwise two readers see two structures", declared_size_ignored,
     VERSION_FIRST, VERSION_NONE, 0},
    {"they take an empty TPM2B_PUBLIC and TPM2B_NV_PUBLIC", "there is no such object [P2 r1.59 12.2.5]",
     empty_structure_taken, VERSION_FIRST, VERSION(4, 1, 4), 0},
    {"we take a TPM2B that is longer than their buffer for it",
     "the size of a response bounds it; what does not fit is refused where it is used", too_long_for_them,
     VERSION_FIRST, VERSION_NONE, 0},
    {"we do not bound the digest of a ticket", "no ticket is passed on", ticket_digest_unread, VERSION_FIRST,
     VERSION_NONE, 0},
    {"we do not look into the data of a capability", "its caller reads the list that it has asked for",
     capability_unread, VERSION_FIRST, VERSION_NONE, 0},
    {"we refuse public areas of other kinds of keys",
     "the flow has RSA and keyed-hash objects with SHA-256 only", algorithm_unknown_to_us, VERSION_FIRST,
     VERSION_NONE, 0},
    {"they take any byte for a TPMI_YES_NO", "it has two values [P2 r1.59 9.2]", yes_no_unchecked,
     VERSION_FIRST, VERSION_NONE, 0},
    {"they take any tag for a ticket", "the tag is what makes it this ticket [P2 r1.59 10.7]",
     ticket_tag_unchecked, VERSION_FIRST, VERSION_NONE, 0},
};
#define DIFFERENCES (sizeof differences / sizeof differences[0])

/* ---- Comparing ---- */

/* Which of our spans is which of their fields. */
static const struct {
    uint32_t command_code;
    struct {
        uint8_t field;
        bool whole; /* with its size field */
    } spans[RESPONSE_SPANS];
} places[] = {
    {TPM2_CC_CREATE, {{0, true}, {1, true}}},       {TPM2_CC_CREATE_PRIMARY, {{0, true}, {4, false}}},
    {TPM2_CC_READ_PUBLIC, {{0, true}, {1, false}}}, {TPM2_CC_MAKE_CREDENTIAL, {{0, false}, {1, false}}},
    {TPM2_CC_IMPORT, {{0, true}, {0, true}}},
};

static bool same_span(struct bytes ours, struct bytes field, bool whole)
{
    const size_t skip = whole ? 0 : 2;
    return ours.len == 0 || (field.len >= skip && ours.len == field.len - skip &&
                             (ours.p == field.p + skip || memcmp(ours.p, field.p + skip, ours.len) == 0));
}

/* Both have accepted: the same values? */
static bool same_values(const struct comparison *c)
{
    const struct response *r = &c->ours;
    const struct bytes *fields = c->theirs.fields;
    bool whole[RESPONSE_SPANS] = {false, false};
    size_t at[RESPONSE_SPANS] = {0, 1};
    if (!c->theirs.canonical || r->handle != c->theirs.handle) {
        return false;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < RESPONSE_SPANS && places[i].command_code == c->kind->command_code; k++) {
            at[k] = places[i].spans[k].field;
            whole[k] = places[i].spans[k].whole;
        }
    }
    if (c->kind->command_code == TPM2_CC_GET_CAPABILITY) { /* YES_NO, capability, data */
        return r->numbers[0] == number(fields[0], 0, 1) && r->numbers[1] == number(fields[0], 1, 4) &&
               r->spans[0].len == fields[0].len - 5;
    }
    if (c->kind->command_code ==
        TPM2_CC_NV_READ_PUBLIC) { /* size, nvIndex, nameAlg, attributes, ..., dataSize */
        return r->numbers[0] == number(fields[0], 8, 4) &&
               r->numbers[1] == number(fields[0], fields[0].len - 2, 2);
    }
    return same_span(r->spans[0], fields[at[0]], whole[0]) && same_span(r->spans[1], fields[at[1]], whole[1]);
}

static unsigned long compared, accepted, unlisted, unexplained;

static void print_hex(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len && i < 400; i++) {
        printf("%02x", bytes.p[i]);
    }
    printf("\n");
}

static void report(const struct comparison *c)
{
    if (unlisted++ >= 5) {
        return;
    }
    printf("# %s: we say %d, they %s, %s; refused structure %u, left over %d\n# ", c->kind->name,
           c->ours.error, c->theirs.accepted ? "accept" : "refuse",
           c->theirs.canonical ? "and would write the same" : "and would write other bytes",
           c->theirs.refused, c->theirs.left_over);
    print_hex(c->bytes);
}

static void ignore(void *context, const struct tpm2_field *field)
{
    (void)context, (void)field;
}

/* What both accept is read without fault by explain as well. Its tables do not know every algorithm. */
static void check_explain(const struct comparison *c)
{
    const int error = tpm2_explain_response(c->kind->command_code, c->bytes, ignore, NULL);
    if (error != 0 && error != BYTES_E_ALGORITHM && unexplained++ < 5) {
        printf("# explain says %d of %s: ", error, c->kind->name);
        print_hex(c->bytes);
    }
}

static void compare(const struct response_kind *kind, struct bytes bytes)
{
    struct comparison c = {.kind = kind, .bytes = bytes};
    for (size_t i = 0; i < layouts_count; i++) {
        if (layouts[i].command_code == kind->command_code) {
            c.layout = &layouts[i];
        }
    }
    /* A refusal has no structures: it is the header alone. */
    if (c.layout == NULL || number(bytes, 6, 4) != TPM2_RC_SUCCESS) {
        return;
    }
    kind->parse(bytes, &c.ours);
    marshalled_read(c.layout, bytes, &c.theirs);
    compared++;
    if (c.ours.error == 0 && c.theirs.accepted) {
        accepted++;
        check_explain(&c);
    }
    if (c.ours.error == 0 ? c.theirs.accepted && same_values(&c) : !c.theirs.accepted) {
        return;
    }
    for (size_t i = 0; i < DIFFERENCES; i++) {
        if (version_in(version, differences[i].from, differences[i].before) && differences[i].is(&c)) {
            differences[i].count++;
            return;
        }
    }
    report(&c);
}

/* ---- Inputs ---- */

static uint64_t random_state = 0x9E3779B97F4A7C15;

static uint32_t draw(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) % below);
}

static void put(uint8_t *p, size_t width, uint32_t value)
{
    for (size_t i = 0; i < width; i++) {
        p[i] = (uint8_t)(value >> 8 * (width - 1 - i));
    }
}

static size_t change_once(uint8_t *p, size_t len)
{
    static const uint16_t words[] = {0,    1,     2,     3,      0x10,   0x14,   0x15,   0x17,
                                     0x20, 0x22,  0x23,  0x25,   0x40,   0x41,   0x44,   0x45,
                                     0x80, 0x100, 0x400, 0x7FFF, 0x8021, 0x8023, 0x8024, 0xFFFF};
    const size_t at = draw((uint32_t)len);
    const size_t count = 1 + draw(8);
    switch (draw(8)) {
    case 0:
        p[at] ^= (uint8_t)(1 << draw(8));
        break;
    case 1:
        if (at + 2 <= len) {
            put(p + at, 2, words[draw(sizeof words / sizeof words[0])]);
        }
        break;
    case 2: /* off by one */
        p[at] = (uint8_t)(p[at] + (draw(2) != 0 ? 1 : 255));
        break;
    case 3: /* bytes that are missing */
        if (at + count <= len) {
            memmove(p + at, p + at + count, len - at - count);
            len -= count;
        }
        break;
    case 4: /* bytes too many */
        if (len + count <= BYTES_MAX) {
            memmove(p + at + count, p + at, len - at);
            len += count;
        }
        break;
    case 5:
        len = at;
        break;
    case 6: /* a longer TPM2B, if one begins here */
        if (at + 2 <= len && len + 10 * count <= BYTES_MAX) {
            memmove(p + at + 2 + 10 * count, p + at + 2, len - at - 2);
            put(p + at, 2, number(bytes_of(p, len), at, 2) + (uint32_t)(10 * count));
            len += 10 * count;
        }
        break;
    default: /* a count */
        if (at + 4 <= len) {
            put(p + at, 4, 1U << draw(8));
        }
        break;
    }
    return len;
}

/* One to three changes, and then sizes that fit again, so that what is changed is read at all. */
static size_t change(const struct response_kind *kind, struct bytes bytes, uint8_t *p)
{
    size_t len = bytes.len;
    memcpy(p, bytes.p, bytes.len);
    for (unsigned i = 0; i <= draw(3) && len > 0; i++) {
        len = change_once(p, len);
    }
    if (len >= 10 && draw(8) != 0) {
        put(p + 2, 4, (uint32_t)len);
    }
    for (size_t i = 0; i < layouts_count; i++) {
        const size_t header = layouts[i].handle ? 14 : 10;
        const size_t sessions = (size_t)layouts[i].auths * 5; /* an empty nonce, attributes, an empty HMAC */
        if (layouts[i].command_code == kind->command_code && layouts[i].auths > 0 &&
            len >= header + 4 + sessions && draw(4) != 0) {
            put(p + header, 4, (uint32_t)(len - header - 4 - sessions));
        }
    }
    return len;
}

static void compare_changes(const struct response_kind *kind, struct bytes bytes, unsigned changes)
{
    uint8_t *p = malloc(BYTES_MAX);
    if (p == NULL || bytes.len > BYTES_MAX - 64) {
        exit(1);
    }
    compare(kind, bytes);
    for (unsigned i = 0; i < changes; i++) {
        compare(kind, bytes_of(p, change(kind, bytes, p)));
    }
    free(p);
}

static void compare_directory(const char *path)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char name[4096];
        uint8_t bytes[BYTES_MAX];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        FILE *file = entries[i]->d_name[0] == '.' ? NULL : fopen(name, "rb");
        const size_t len = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
        if (file != NULL) {
            (void)fclose(file);
        }
        if (len > 1 && len < BYTES_MAX - 64) {
            compare_changes(&response_kinds[bytes[0] % response_kinds_count], bytes_of(bytes + 1, len - 1),
                            CHANGES / 40);
        }
        free(entries[i]);
    }
    if (count < 0) {
        perror(path);
        exit(1);
    }
    free(entries);
}

/* creationData with more PCR banks than there can be: a place that chance hardly finds. */
static void compare_creation_data(const struct response_kind *kind, struct bytes bytes)
{
    uint8_t p[BYTES_MAX];
    struct marshalled m;
    for (size_t i = 0; i < layouts_count; i++) {
        if (layouts[i].command_code != kind->command_code) {
            continue;
        }
        marshalled_read(&layouts[i], bytes, &m);
        for (size_t k = 0; m.accepted && layouts[i].fields[k] != FIELD_END; k++) {
            if (layouts[i].fields[k] != FIELD_CREATION_DATA) {
                continue;
            }
            memcpy(p, bytes.p, bytes.len);
            put(p + (m.fields[k].p - bytes.p) + 2, 4, 17); /* pcrSelect.count */
            compare(kind, bytes_of(p, bytes.len));
        }
    }
}

/* The recorded responses; and ReadPublic and Create of every public area that the vectors have. */
static void compare_vectors(void)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        const struct response_kind *kind =
            response_kind_of(tpm2_explain_command_code(captured_commands[i].request));
        if (kind == NULL) {
            continue;
        }
        compare_creation_data(kind, captured_commands[i].response);
        compare_changes(kind, captured_commands[i].response, CHANGES);
    }
    const struct bytes areas[] = {bytes_of("\0\0", 2),
                                  bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b),
                                  bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b),
                                  bytes_of(vector_public, sizeof vector_public)};
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        uint8_t response[1024];
        struct bytes_writer w = bytes_writer_over(response, sizeof response);
        bytes_write_u16(&w, TPM2_ST_NO_SESSIONS);
        bytes_write_u32(&w, (uint32_t)(14 + areas[i].len));
        bytes_write_u32(&w, TPM2_RC_SUCCESS);
        bytes_write_bytes(&w, areas[i]);
        bytes_write_u32(&w, 0); /* two empty Names */
        compare_changes(response_kind_of(TPM2_CC_READ_PUBLIC), bytes_written(&w), 4 * CHANGES);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || !version_read(argv[1], &version)) {
        fprintf(stderr, "usage: mu VERSION-OF-TPM2-TSS DIRECTORY...\n");
        return 2;
    }
    version_say("tpm2-tss", version, VERSION(3, 2, 0), VERSION(4, 3, 0));
    compare_vectors();
    for (int i = 2; i < argc; i++) {
        compare_directory(argv[i]);
    }
    printf("%s 1 - both sides agree, but for what is listed (%lu inputs, %lu accepted by both)\n",
           unlisted == 0 ? "ok" : "not ok", compared, accepted);
    printf("%s 2 - many inputs were accepted by both\n", accepted > compared / 20 ? "ok" : "not ok");
    printf("%s 3 - explain reads what both accept\n", unexplained == 0 ? "ok" : "not ok");
    int failed = unlisted != 0 || unexplained != 0 || accepted <= compared / 20;
    size_t tests = 3;
    for (size_t i = 0; i < DIFFERENCES; i++) {
        if (version_in(version, differences[i].from, differences[i].before)) {
            printf("%s %zu - %s: %s (%lu times)\n", differences[i].count > 0 ? "ok" : "not ok", ++tests,
                   differences[i].what, differences[i].why, differences[i].count);
            failed |= differences[i].count == 0;
        }
    }
    printf("1..%zu\n", tests);
    return failed;
}
