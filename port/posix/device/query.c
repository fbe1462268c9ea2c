/* SPDX-License-Identifier: MIT */
/* Questions to the TPM that belong to no flow, and the command that needs nothing else: flush. */
#include "port/posix/device/tool.h"
#include "tpm/rc.h"
#include <string.h>

/* How much is asked for at once: the longest list stays far below the answer buffer. */
#define LIST_PART 100
/* What every TPM can read from NV at once; more only if it says so. */
#define NV_PART_MIN 512
#define NV_PART_MAX 768

static int ask(struct device_tool *t, const char *what, const struct bytes_writer *w, struct bytes *answer)
{
    *answer = bytes_of(NULL, 0);
    if (w->error != 0) {
        return w->error;
    }
    return port_tpm_ask(&t->port, 0, what, bytes_written(w), t->answer, sizeof t->answer, answer);
}

/* One GetCapability: a reader over the values after their count. */
static int capability(struct device_tool *t, uint32_t kind, uint32_t property, uint32_t wanted,
                      struct bytes_reader *values, uint32_t *count, bool *more)
{
    uint8_t command[32];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    struct bytes answer;
    struct bytes data = {0};
    uint32_t rc;
    uint32_t answered = 0;
    tpm2_get_capability_build(&w, kind, property, wanted);
    int error = ask(t, "what this TPM is", &w, &answer);
    if (error == 0) {
        error = tpm2_get_capability_parse(answer, &rc, more, &answered, &data);
    }
    if (error == 0 && answered != kind) {
        error = BYTES_E_FORMAT;
    }
    *values = bytes_reader_over(data);
    *count = bytes_read_u32(values);
    return error != 0 ? error : values->error;
}

int device_property(struct device_tool *t, uint32_t property, uint32_t *value)
{
    struct bytes_reader r;
    uint32_t count;
    bool more;
    *value = 0;
    int error = capability(t, TPM2_CAP_TPM_PROPERTIES, property, 1, &r, &count, &more);
    if (error != 0) {
        return error;
    }
    uint32_t found = bytes_read_u32(&r);
    uint32_t found_value = bytes_read_u32(&r);
    /* Asked for a property that it does not have, a TPM answers with the next one. */
    if (count == 0 || r.error != 0 || found != property) {
        return BYTES_E_NOT_FOUND;
    }
    *value = found_value;
    return 0;
}

static uint32_t read_value(struct bytes_reader *r, uint32_t kind)
{
    uint32_t value = kind == TPM2_CAP_ALGS ? bytes_read_u16(r) : bytes_read_u32(r);
    if (kind == TPM2_CAP_ALGS) {
        (void)bytes_read_u32(r);
    }
    /* TPMA_CC [P2 r1.59 8.9]: number and vendor bit are the command code. */
    return kind == TPM2_CAP_COMMANDS ? value & 0x2000FFFFU : value;
}

/* The value from which to ask for the rest. Lists of sessions contain both kinds of handles, but the question keeps
 * its own kind. */
static uint32_t following(uint32_t kind, uint32_t first, uint32_t value)
{
    const uint32_t next = value + 1;
    return kind == TPM2_CAP_HANDLES ? (first & 0xFF000000U) | (next & 0x00FFFFFFU) : next;
}

int device_list(struct device_tool *t, uint32_t kind, uint32_t first, uint32_t *values, size_t capacity,
                size_t *count)
{
    bool more = true;
    *count = 0;
    while (more) {
        struct bytes_reader r;
        uint32_t part;
        uint32_t value = 0;
        int error = capability(t, kind, first, LIST_PART, &r, &part, &more);
        for (uint32_t i = 0; i < part && error == 0 && r.error == 0; i++) {
            value = read_value(&r, kind);
            if (r.error == 0 && *count < capacity) {
                values[*count] = value;
            }
            *count += r.error == 0;
        }
        if (error != 0 || r.error != 0 || part == 0) {
            return error != 0 ? error : r.error;
        }
        /* A TPM that repeats itself would be asked for ever. */
        const uint32_t next = following(kind, first, value);
        if (more && next <= first) {
            return BYTES_E_FORMAT;
        }
        first = next;
    }
    return 0;
}

static int nv_public(struct device_tool *t, uint32_t index, uint32_t *attributes, uint16_t *size)
{
    uint8_t command[32];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    struct bytes answer;
    uint32_t rc = 0;
    tpm2_nv_read_public_build(&w, index);
    int error = ask(t, "an NV index", &w, &answer);
    if (error == 0) {
        error = tpm2_nv_read_public_parse(answer, &rc, attributes, size);
    }
    if (error == BYTES_E_TPM_RC && tpm2_rc_decode(rc).code == TPM2_RC_HANDLE) {
        return BYTES_E_NOT_FOUND;
    }
    return error;
}

static int nv_part(struct device_tool *t, uint32_t authority, uint32_t index, uint16_t size, uint16_t offset,
                   uint8_t *out)
{
    uint8_t command[128];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    const bool owner = authority == TPM2_RH_OWNER;
    const struct tpm2_auth auth = tpm2_auth_password(owner ? t->config.owner_auth : bytes_of(NULL, 0));
    struct bytes answer;
    struct bytes data;
    uint32_t rc;
    tpm2_nv_read_build(&w, authority, index, &auth, size, offset);
    int error = ask(t, "its content", &w, &answer);
    bytes_wipe(command, sizeof command);
    if (error == 0) {
        error = tpm2_nv_read_parse(answer, &rc, &data);
    }
    if (error == 0 && data.len != size) {
        error = BYTES_E_FORMAT;
    }
    if (error == 0) {
        memcpy(out, data.p, data.len);
    }
    return error;
}

int device_nv_read(struct device_tool *t, uint32_t index, uint8_t *out, size_t capacity, size_t *len)
{
    uint32_t attributes;
    uint32_t part_max;
    uint16_t size;
    *len = 0;
    int error = nv_public(t, index, &attributes, &size);
    if (error != 0) {
        return error;
    }
    const uint32_t readable = TPM2_NV_AUTH_READ | TPM2_NV_OWNER_READ;
    if ((attributes & TPM2_NV_WRITTEN) == 0 || (attributes & readable) == 0) {
        return BYTES_E_NOT_FOUND;
    }
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    if (device_property(t, TPM2_PT_NV_BUFFER_MAX, &part_max) != 0 || part_max == 0) {
        part_max = NV_PART_MIN;
    }
    if (part_max > NV_PART_MAX) {
        part_max = NV_PART_MAX;
    }
    /* By its own, empty authorization if it has one: the owner's may not be known here. */
    const uint32_t authority = (attributes & TPM2_NV_AUTH_READ) != 0 ? index : TPM2_RH_OWNER;
    for (uint16_t at = 0; at < size && error == 0;) {
        uint16_t left = (uint16_t)(size - at);
        uint16_t part = left < part_max ? left : (uint16_t)part_max;
        error = nv_part(t, authority, index, part, at, out + at);
        at = (uint16_t)(at + part);
    }
    *len = error == 0 ? size : 0;
    return error;
}

static int flush(struct device_tool *t, uint32_t handle)
{
    uint8_t command[32];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    struct bytes answer;
    uint32_t rc;
    tpm2_flush_context_build(&w, handle);
    int error = ask(t, "to forget it", &w, &answer);
    return error != 0 ? error : tpm2_flush_context_parse(answer, &rc);
}

int device_derive_ek(struct device_tool *t, const struct tpm2_public *area,
                     uint8_t public_2b[DPS_EK_PUBLIC_MAX], size_t *len)
{
    uint8_t command[512];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    const struct tpm2_auth auth = tpm2_auth_password(t->config.endorsement_auth);
    struct bytes answer;
    struct bytes area_2b;
    struct bytes name;
    uint32_t rc;
    uint32_t handle = 0;
    *len = 0;
    tpm2_create_primary_build(&w, TPM2_RH_ENDORSEMENT, &auth, area);
    int error = ask(t, "an endorsement key, to compare", &w, &answer);
    bytes_wipe(command, sizeof command);
    if (error == 0) {
        error = tpm2_create_primary_parse(answer, &rc, &handle, &area_2b, &name);
    }
    if (error != 0) {
        return error;
    }
    if (area_2b.len <= DPS_EK_PUBLIC_MAX) {
        memcpy(public_2b, area_2b.p, area_2b.len);
        *len = area_2b.len;
    }
    error = flush(t, handle);
    return error == 0 && *len == 0 ? BYTES_E_LIMIT : error;
}

/* One field for RSA keys and those on curves: what kind, how large. */
static void describe_asymmetric(struct bytes_reader *r, bool ecc, char *kind, size_t size)
{
    static const char *const curves[] = {[3] = " on P-256", [4] = " on P-384", [5] = " on P-521"};
    if (bytes_read_u16(r) != TPM2_ALG_NULL) {
        bytes_read_u32(r); /* of the symmetric algorithm: bits, mode */
    }
    if (bytes_read_u16(r) != TPM2_ALG_NULL) {
        bytes_read_u16(r); /* of the scheme: hash */
    }
    const uint16_t number = bytes_read_u16(r);
    const bool known = number < sizeof curves / sizeof curves[0] && curves[number] != NULL;
    if (ecc) {
        snprintf(kind, size, "an ECC key%s", known ? curves[number] : "");
    } else {
        snprintf(kind, size, "an RSA-%u key", number);
    }
}

/* Any public area, also of kinds that tpm2_public_parse_2b does not know [P2 r1.59 12.2.4]. */
static void describe_area(struct bytes_reader *r, char *kind, size_t size)
{
    const uint16_t type = bytes_read_u16(r);
    const uint16_t name_alg = bytes_read_u16(r);
    const uint32_t attributes = bytes_read_u32(r);
    (void)bytes_read_2b(r); /* authPolicy */
    if (type == TPM2_ALG_RSA || type == TPM2_ALG_ECC) {
        describe_asymmetric(r, type == TPM2_ALG_ECC, kind, size);
    } else {
        snprintf(kind, size, "%s",
                 type == TPM2_ALG_KEYEDHASH ? "a keyed hash (HMAC key or sealed data)" : "a symmetric key");
    }
    const size_t len = strlen(kind);
    snprintf(kind + len, size - len, ", %sattributes 0x%08X, not of the flow's templates",
             name_alg == TPM2_ALG_SHA256 ? "" : "name not by SHA-256, ", (unsigned)attributes);
}

int device_key_kind(struct device_tool *t, uint32_t handle, char *kind, size_t size)
{
    uint8_t command[32];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    struct bytes answer;
    struct bytes public_2b;
    struct bytes name;
    struct tpm2_public area = {0};
    uint32_t rc = 0;
    const struct tpm2_public ek = tpm2_template_ek_l1();
    const struct tpm2_public srk = tpm2_template_srk();
    tpm2_read_public_build(&w, handle);
    int error = ask(t, "a persistent key", &w, &answer);
    if (error == 0) {
        error = tpm2_read_public_parse(answer, &rc, &public_2b, &name);
    }
    if (error == BYTES_E_TPM_RC && tpm2_rc_decode(rc).code == TPM2_RC_HANDLE) {
        return BYTES_E_NOT_FOUND;
    }
    if (error != 0 && error != BYTES_E_ALGORITHM) {
        return error;
    }
    if (error == 0) {
        (void)tpm2_public_parse_2b(public_2b, &area);
    }
    struct bytes_reader r = bytes_reader_over(answer);
    bytes_skip(&r, 12); /* header, size of the public area */
    if (tpm2_public_matches(&area, &ek)) {
        snprintf(kind, size, "%s", DEVICE_KIND_EK);
    } else if (tpm2_public_matches(&area, &srk)) {
        snprintf(kind, size, "%s", DEVICE_KIND_SRK);
    } else {
        describe_area(&r, kind, size);
    }
    return 0;
}

/* Flush every handle of a kind. Each time as many as fit here; those that were flushed are not listed again. */
static int flush_all(struct device_tool *t, uint32_t first, size_t *flushed)
{
    uint32_t handles[DEVICE_HANDLES_MAX];
    size_t count = SIZE_MAX;
    int error = 0;
    *flushed = 0;
    while (error == 0 && count > 0) {
        const size_t before = count;
        error = device_list(t, TPM2_CAP_HANDLES, first, handles, DEVICE_HANDLES_MAX, &count);
        if (error == 0 && count >= before) {
            error = BYTES_E_FORMAT; /* it says that it flushes, and does not */
        }
        for (size_t i = 0; i < count && i < DEVICE_HANDLES_MAX && error == 0; i++) {
            error = flush(t, handles[i]);
            if (error == 0) {
                printf("0x%08X flushed\n", (unsigned)handles[i]);
                ++*flushed;
            }
        }
    }
    return error;
}

bool device_is_shared(const struct device_tool *t)
{
    return t->tpm.kind == POSIX_TPM_DEVICE && strstr(t->tpm.address, "tpmrm") != NULL;
}

int device_flush(struct device_tool *t)
{
    size_t objects = 0;
    size_t sessions = 0;
    size_t saved = 0;
    int exit_code = device_open(t);
    if (exit_code != 0) {
        return exit_code;
    }
    if (device_is_shared(t)) {
        puts("Nothing flushed: this TPM is behind the kernel's resource manager, which cleans up by "
             "itself. The "
             "saved sessions there are those of running programs.");
        return 0;
    }
    int error = flush_all(t, TPM2_HR_TRANSIENT, &objects);
    if (error == 0) {
        error = flush_all(t, DEVICE_LOADED_SESSIONS, &sessions);
    }
    if (error == 0) {
        error = flush_all(t, DEVICE_SAVED_SESSIONS, &saved);
    }
    if (error != 0) {
        return device_report_tpm(t, "flushing what other programs left", error);
    }
    printf("%zu objects and %zu sessions flushed\n", objects, sessions + saved);
    if (t->tpm.kind == POSIX_TPM_LIBTPMS) {
        puts("That is as expected: this TPM lives in this process and starts empty.");
    }
    return 0;
}
