/* SPDX-License-Identifier: MIT */
/* Broken commands: a TPM that accepts one of these may accept a forged one as well. */
#include "tests/conformance/tpm.h"

/* A TPM that waits for more bytes than it got will never answer. */
#define RAW_TIMEOUT_MS 20000

/* TPM2_GetCapability for one property, as bytes to be broken. */
static struct bytes sound(uint8_t bytes[64])
{
    struct bytes_writer w = bytes_writer_over(bytes, 64);
    tpm2_get_capability_build(&w, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 1);
    return bytes_written(&w);
}

static void set_size(uint8_t *command, size_t size)
{
    struct bytes_writer w = bytes_writer_over(command + 2, 4);
    bytes_write_u32(&w, (uint32_t)size);
}

/* Send bytes as they are. A driver or server before the TPM may refuse them too: then nothing but an error comes, and
 * the next command must work. */
static void must_refuse(struct conformance *c, struct bytes bytes, const uint32_t *codes, const char *what)
{
    struct tpm_suite *t = tpm_of(c);
    size_t len = 0;
    uint8_t good[64];
    t->rc = 0;
    t->driver_refused = false;
    int error = t->port.tpm.transact(t->port.tpm.context, bytes, t->response, sizeof t->response, &len,
                                     RAW_TIMEOUT_MS);
    if (error == BYTES_E_TIMEOUT) {
        conformance_check(c, false, "%s: no answer came", what);
    } else if (error != 0) {
        conformance_note(c, "%s: refused before the TPM: %s", what, posix_error_text(error));
    } else {
        struct bytes_reader r = bytes_reader_over(bytes_of(t->response, len));
        (void)bytes_read_u16(&r);
        uint32_t size = bytes_read_u32(&r);
        t->rc = bytes_read_u32(&r);
        conformance_check(c, size == len && (t->rc == 0 || len == 10),
                          "%s: the response is not well-formed, or was changed on the bus", what);
        tpm_refused(c, t->rc == 0 ? 0 : BYTES_E_TPM_RC, codes, what);
    }
    bool more;
    uint32_t capability;
    struct bytes data;
    bytes_write_bytes(tpm_begin(c), sound(good));
    error = tpm2_get_capability_parse(tpm_send(c), &t->rc, &more, &capability, &data);
    conformance_check(c, error == 0, "after it a good command is refused: %s", tpm_rc_text(t->rc));
}

static void unknown_command(struct conformance *c)
{
    uint8_t bytes[64];
    struct bytes command = sound(bytes);
    bytes[6] = 0;
    bytes[7] = 0;
    bytes[8] = 0x0F;
    bytes[9] = 0xFF;
    must_refuse(c, command, TPM_CODES(TPM2_RC_COMMAND_CODE), "command code 0x0fff");
}

static void wrong_tag(struct conformance *c)
{
    uint8_t bytes[64];
    struct bytes command = sound(bytes);
    bytes[1] = 0x03;
    must_refuse(c, command, TPM_CODES(TPM2_RC_BAD_TAG, TPM2_RC_TAG, TPM2_RC_VALUE), "tag 0x8003");
}

static void size_too_large(struct conformance *c)
{
    uint8_t bytes[64];
    struct bytes command = sound(bytes);
    set_size(bytes, command.len + 1);
    must_refuse(c, command, TPM_CODES(TPM2_RC_COMMAND_SIZE), "commandSize one too large");
}

static void size_too_small(struct conformance *c)
{
    uint8_t bytes[64];
    struct bytes command = sound(bytes);
    set_size(bytes, command.len - 1);
    must_refuse(c, command, TPM_CODES(TPM2_RC_COMMAND_SIZE, TPM2_RC_INSUFFICIENT),
                "commandSize one too small");
}

static void trailing_byte(struct conformance *c)
{
    uint8_t bytes[64];
    struct bytes command = sound(bytes);
    bytes[command.len] = 0;
    set_size(bytes, command.len + 1);
    must_refuse(c, bytes_of(bytes, command.len + 1), TPM_CODES(TPM2_RC_SIZE, TPM2_RC_COMMAND_SIZE),
                "a byte after the last parameter");
}

static void parameters_cut(struct conformance *c)
{
    uint8_t bytes[64] = {0};
    const struct bytes whole = sound(bytes);
    for (size_t len = whole.len - 1; len >= 10 && !c->failed; len--) {
        (void)sound(bytes);
        set_size(bytes, len);
        must_refuse(c, bytes_of(bytes, len),
                    TPM_CODES(TPM2_RC_INSUFFICIENT, TPM2_RC_COMMAND_SIZE, TPM2_RC_SIZE),
                    "parameters cut off");
    }
}

/* ---- Authorizations: TPM2_PolicySecret of a session that is there ---- */

static bool policy_secret(struct conformance *c, uint8_t bytes[128], size_t *len)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes_writer w = bytes_writer_over(bytes, 128);
    struct tpm2_auth auth = tpm2_auth_password(t->endorsement);
    uint32_t session;
    if (!tpm_start_session(c, &session)) {
        return false;
    }
    tpm2_policy_secret_build(&w, TPM2_RH_ENDORSEMENT, session, &auth, bytes_of(NULL, 0));
    *len = bytes_written(&w).len;
    return true;
}

static void authorization_missing(struct conformance *c)
{
    uint8_t bytes[128], without[128];
    size_t len;
    if (!policy_secret(c, bytes, &len)) {
        return;
    }
    /* Header and two handles, then what follows the authorization area. */
    const size_t begin = 10 + 8, end = begin + 4 + 9 + tpm_of(c)->endorsement.len;
    memcpy(without, bytes, begin);
    memcpy(without + begin, bytes + end, len - end);
    without[1] = 0x01;
    set_size(without, len - (end - begin));
    must_refuse(c, bytes_of(without, len - (end - begin)), TPM_CODES(TPM2_RC_AUTH_MISSING),
                "tag without sessions");
}

static void authorization_size(struct conformance *c)
{
    uint8_t bytes[128];
    size_t len;
    if (!policy_secret(c, bytes, &len)) {
        return;
    }
    static const uint32_t sizes[] = {0, 1, 8, 0xFFFF, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && !c->failed; i++) {
        char what[64];
        struct bytes_writer w = bytes_writer_over(bytes + 18, 4);
        bytes_write_u32(&w, sizes[i]);
        snprintf(what, sizeof what, "authorizationSize 0x%x", sizes[i]);
        must_refuse(c, bytes_of(bytes, len), TPM_CODES(TPM2_RC_AUTHSIZE, TPM2_RC_SIZE, TPM2_RC_INSUFFICIENT),
                    what);
    }
}

static void authorization_handle(struct conformance *c)
{
    uint8_t bytes[128];
    size_t len;
    if (!policy_secret(c, bytes, &len)) {
        return;
    }
    struct bytes_writer w = bytes_writer_over(bytes + 22, 4);
    bytes_write_u32(&w, TPM2_RH_OWNER);
    must_refuse(c, bytes_of(bytes, len), TPM_CODES(TPM2_RC_VALUE, TPM2_RC_HANDLE),
                "TPM_RH_OWNER as a session");
}

static void reserved_bits(struct conformance *c)
{
    uint8_t bytes[128];
    size_t len;
    if (!policy_secret(c, bytes, &len)) {
        return;
    }
    bytes[28] |= 0x10;
    must_refuse(c, bytes_of(bytes, len), TPM_CODES(TPM2_RC_RESERVED_BITS, TPM2_RC_ATTRIBUTES, TPM2_RC_VALUE),
                "a reserved bit of sessionAttributes");
}

static void no_such_object(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes public_2b, name;
    /* The last transient handle that there can be (Linux's resource manager gives its own from there downwards), and a
     * persistent one that nobody uses. */
    uint32_t handles[] = {0x80FFFFFEU, 0x8100DEADU};
    for (size_t i = 0; i < 2; i++) {
        while (tpm_is_listed(&t->before, handles[i])) {
            handles[i]--;
        }
        tpm2_read_public_build(tpm_begin(c), handles[i]);
        int error = tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_HANDLE, TPM2_RC_REFERENCE_H0, TPM2_RC_VALUE),
                    i == 0 ? "TPM2_ReadPublic of a transient object that is not there"
                           : "TPM2_ReadPublic of a persistent object that is not there");
    }
    tpm2_read_public_build(tpm_begin(c), TPM2_RH_OWNER);
    int error = tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_VALUE, TPM2_RC_HANDLE), "TPM2_ReadPublic of TPM_RH_OWNER");
}

const struct conformance_case tpm_cases_wire[] = {
    {"TPM-S00-020", "A command code that no TPM has must be refused with TPM_RC_COMMAND_CODE.",
     "TPM 2.0 Part 3 r1.59 5.2", CONFORMANCE_MUST, 0, unknown_command},
    {"TPM-S00-021", "A command tag that is neither of the two must be refused.", "TPM 2.0 Part 3 r1.59 5.2",
     CONFORMANCE_MUST, 0, wrong_tag},
    {"TPM-S00-022", "A command shorter than it says must be refused.", "TPM 2.0 Part 3 r1.59 5.2",
     CONFORMANCE_MUST, 0, size_too_large},
    {"TPM-S00-023", "A command longer than it says must be refused.", "TPM 2.0 Part 3 r1.59 5.2",
     CONFORMANCE_MUST, 0, size_too_small},
    {"TPM-S00-024", "Bytes after the last parameter must be refused.", "TPM 2.0 Part 3 r1.59 5.8",
     CONFORMANCE_MUST, 0, trailing_byte},
    {"TPM-S00-025", "Parameters that end early must be refused, wherever they end.",
     "TPM 2.0 Part 3 r1.59 5.8", CONFORMANCE_MUST, 0, parameters_cut},
    {"TPM-S00-026",
     "A command that needs an authorization and has none must be refused with TPM_RC_AUTH_MISSING.",
     "TPM 2.0 Part 3 r1.59 5.6", CONFORMANCE_MUST, 0, authorization_missing},
    {"TPM-S00-027", "An authorizationSize that is too small or goes past the command must be refused.",
     "TPM 2.0 Part 3 r1.59 5.5", CONFORMANCE_MUST, 0, authorization_size},
    {"TPM-S00-028", "Where a session is due, a handle that is not one must be refused.",
     "TPM 2.0 Part 3 r1.59 5.5", CONFORMANCE_MUST, 0, authorization_handle},
    {"TPM-S00-029", "Reserved bits of sessionAttributes should be refused.", "TPM 2.0 Part 2 r1.59 8.4",
     CONFORMANCE_SHOULD, 0, reserved_bits},
    {"TPM-S00-030", "A handle that names nothing must be refused by a code that says so.",
     "TPM 2.0 Part 3 r1.59 5.4", CONFORMANCE_MUST, 0, no_such_object},
    {0},
};
