/* SPDX-License-Identifier: MIT */
/* One command and its answer; handles. */
#include "tests/conformance/tpm.h"
#include "tpm/tools/rc_text.h"
#include <errno.h>

#define TPM_HEADER_SIZE 10 /* of a command, up to its first handle */

struct tpm_suite *tpm_of(struct conformance *c)
{
    return c->suite_state;
}

struct bytes_writer *tpm_begin(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    t->rc = 0;
    t->driver_refused = false;
    t->w = bytes_writer_over(t->command, sizeof t->command);
    return &t->w;
}

struct bytes tpm_send(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    t->answer = bytes_of(NULL, 0);
    if (!conformance_check(c, t->w.error == 0, "a command could not be built: a fault of the suite itself")) {
        return t->answer;
    }
    if (c->gave_up != 0) {
        return t->answer;
    }
    int error = port_tpm_ask(&t->port, 0, c->now != NULL ? c->now->id : "", bytes_written(&t->w), t->response,
                             sizeof t->response, &t->answer);
    if (error == BYTES_E_TPM_DRIVER) {
        t->driver_refused = true;
    } else if (error != 0) {
        conformance_give_up(c, POSIX_EXIT_TPM, "the TPM did not answer: %s", posix_error_text(error));
    }
    return t->answer;
}

/* ---- What it said ---- */

const char *tpm_rc_text(uint32_t rc)
{
    static char text[96];
    static const char *const kinds[] = {[TPM2_RC_KIND_HANDLE] = "handle",
                                        [TPM2_RC_KIND_PARAMETER] = "parameter",
                                        [TPM2_RC_KIND_SESSION] = "session"};
    struct tpm2_rc decoded = tpm2_rc_decode(rc);
    const char *name = tpm2_rc_name(decoded.code);
    int len = snprintf(text, sizeof text, "%s", name != NULL ? name : "an unknown response code");
    if (decoded.number != 0) {
        len +=
            snprintf(text + len, sizeof text - (size_t)len, " of %s %u", kinds[decoded.kind], decoded.number);
    }
    snprintf(text + len, sizeof text - (size_t)len, " (0x%03x)", rc);
    return text;
}

static const char *outcome(struct conformance *c, int error)
{
    return error == 0                  ? "success"
           : error == BYTES_E_TPM_RC   ? tpm_rc_text(tpm_of(c)->rc)
           : tpm_of(c)->driver_refused ? "nothing, because the kernel refused the command"
           : error == BYTES_E_FORMAT
               ? "a response that is not well-formed, or that was changed on the TPM's bus"
               : posix_error_text(error);
}

/* How much a TPM holds at a time is judged by one case, wherever it shows. */
static const char *stand_on_memory(struct conformance *c, int error)
{
    const bool full = error == BYTES_E_TPM_RC && tpm_of(c)->rc == TPM2_RC_OBJECT_MEMORY;
    return full ? conformance_stand_on(c, "TPM-S00-008") : c->stands_on;
}

bool tpm_ok(struct conformance *c, int error, const char *what)
{
    const char *before = stand_on_memory(c, error);
    (void)conformance_check(c, error == 0, "%s: the TPM answered %s", what, outcome(c, error));
    conformance_stand_back(c, before);
    return error == 0;
}

/* The code of the refusal, whoever spoke it; 0: none that is known. */
static uint32_t refusal(struct conformance *c, int error, const char *what)
{
    const struct tpm_suite *t = tpm_of(c);
    struct bytes_reader r = bytes_reader_over(bytes_written(&t->w));
    uint32_t below = 0;
    bytes_skip(&r, TPM_HEADER_SIZE);
    if (t->driver_refused && t->tpm.driver_cause == EINVAL &&
        bytes_read_u32(&r) >> TPM2_HT_SHIFT == TPM2_HT_TRANSIENT) {
        conformance_note(c, "%s: refused by the kernel's resource manager (EINVAL)", what);
        return TPM2_RC_HANDLE;
    }
    if (error != BYTES_E_TPM_RC) {
        return 0;
    }
    const char *layer = tpm2_rc_layer(t->rc, &below);
    if (layer != NULL && below != 0) {
        conformance_note(c, "%s: said by %s (0x%x)", what, layer, t->rc);
    }
    return tpm2_rc_decode(below != 0 ? below : t->rc).code;
}

bool tpm_refused(struct conformance *c, int error, const uint32_t *codes, const char *what)
{
    char wanted[160];
    size_t len = 0;
    bool refused = false;
    const uint32_t code = refusal(c, error, what);
    for (; *codes != 0; codes++) {
        const char *name = tpm2_rc_name(*codes);
        int n = snprintf(wanted + len, sizeof wanted - len, "%s%s", len > 0 ? " or " : "",
                         name != NULL ? name : "?");
        len = len + (size_t)n < sizeof wanted ? len + (size_t)n : sizeof wanted - 1;
        refused = refused || *codes == code;
    }
    const char *before = stand_on_memory(c, error);
    (void)conformance_check(c, refused, "%s: the TPM answered %s instead of %s", what, outcome(c, error),
                            wanted);
    conformance_stand_back(c, before);
    return refused;
}

/* ---- Handles ---- */

void tpm_remember(struct conformance *c, uint32_t handle)
{
    struct tpm_suite *t = tpm_of(c);
    if (handle == 0) {
        return;
    }
    if (conformance_check(c, t->loaded_count < TPM_LOADED_MAX,
                          "a case loads too much: a fault of the suite itself")) {
        t->loaded[t->loaded_count++] = handle;
    }
}

int tpm_flush_raw(struct conformance *c, uint32_t handle)
{
    struct tpm_suite *t = tpm_of(c);
    tpm2_flush_context_build(tpm_begin(c), handle);
    int error = tpm2_flush_context_parse(tpm_send(c), &t->rc);
    for (size_t i = 0; i < t->loaded_count && error == 0; i++) {
        if (t->loaded[i] == handle) {
            t->loaded[i] = t->loaded[--t->loaded_count];
            break;
        }
    }
    return error;
}

bool tpm_flush(struct conformance *c, uint32_t handle)
{
    const bool session =
        handle >> TPM2_HT_SHIFT == TPM2_HT_HMAC_SESSION || handle >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION;
    int error = tpm_flush_raw(c, handle);
    const char *before = conformance_stand_on(c, session ? "TPM-S07-005" : "TPM-S08-008");
    const bool flushed = tpm_ok(c, error, "TPM2_FlushContext");
    conformance_stand_back(c, before);
    return flushed;
}

void tpm_random(struct conformance *c, void *out, size_t len)
{
    (void)c->random.fill(c->random.context, out, len);
}

/* ---- What it has ---- */

/* One TPM2_GetCapability: a reader over the values after their count. */
static bool capability(struct conformance *c, uint32_t kind, uint32_t property, uint32_t wanted,
                       struct bytes_reader *values, uint32_t *count, bool *more)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes data;
    uint32_t answered = 0;
    *count = 0;
    tpm2_get_capability_build(tpm_begin(c), kind, property, wanted);
    int error = tpm2_get_capability_parse(tpm_send(c), &t->rc, more, &answered, &data);
    if (!tpm_ok(c, error, "TPM2_GetCapability") ||
        !conformance_check(c, answered == kind, "TPM2_GetCapability answered for another capability")) {
        return false;
    }
    *values = bytes_reader_over(data);
    *count = bytes_read_u32(values);
    return conformance_check(c, values->error == 0, "TPM2_GetCapability: its answer is too short");
}

bool tpm_property(struct conformance *c, uint32_t property, uint32_t *value)
{
    struct bytes_reader r;
    uint32_t count;
    bool more;
    if (!capability(c, TPM2_CAP_TPM_PROPERTIES, property, 1, &r, &count, &more)) {
        return false;
    }
    /* Asked for a property that it does not have, a TPM answers with the next one. */
    uint32_t found = bytes_read_u32(&r);
    *value = bytes_read_u32(&r);
    return count > 0 && r.error == 0 && found == property;
}

bool tpm_has(struct conformance *c, uint32_t kind, uint32_t value)
{
    struct bytes_reader r;
    uint32_t count;
    bool more;
    if (!capability(c, kind, value, 1, &r, &count, &more) || count == 0) {
        return false;
    }
    /* TPMA_CC: number and vendor bit are the command code. */
    uint32_t found = kind == TPM2_CAP_ALGS ? bytes_read_u16(&r) : bytes_read_u32(&r) & 0x2000FFFFU;
    return r.error == 0 && found == value;
}

static bool list_kind(struct conformance *c, uint32_t kind, struct tpm_handles *out)
{
    uint32_t next = kind << TPM2_HT_SHIFT;
    bool more = true;
    while (more) {
        struct bytes_reader r;
        uint32_t count;
        if (!capability(c, TPM2_CAP_HANDLES, next, 64, &r, &count, &more)) {
            return false;
        }
        for (uint32_t i = 0; i < count && r.error == 0 && out->count < TPM_HANDLES_MAX; i++) {
            out->values[out->count] = bytes_read_u32(&r);
            next = (next & 0xFF000000U) | ((out->values[out->count++] + 1) & 0x00FFFFFFU);
        }
        if (count == 0 || r.error != 0 || out->count == TPM_HANDLES_MAX) {
            return conformance_check(c, r.error == 0, "TPM2_GetCapability: its list of handles is too short");
        }
    }
    return true;
}

bool tpm_list_handles(struct conformance *c, struct tpm_handles *out)
{
    /* TPM_HT_LOADED_SESSION and TPM_HT_SAVED_SESSION have the numbers of the two kinds of sessions. */
    static const uint32_t kinds[] = {TPM2_HT_HMAC_SESSION, TPM2_HT_POLICY_SESSION, TPM2_HT_TRANSIENT,
                                     TPM2_HT_PERSISTENT};
    out->count = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!list_kind(c, kinds[i], out)) {
            return false;
        }
    }
    return true;
}

bool tpm_is_listed(const struct tpm_handles *list, uint32_t handle)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->values[i] == handle) {
            return true;
        }
    }
    return false;
}

static const char *kind_of(uint32_t handle)
{
    uint32_t kind = handle >> TPM2_HT_SHIFT;
    return kind == TPM2_HT_PERSISTENT  ? "persistent object"
           : kind == TPM2_HT_TRANSIENT ? "object"
                                       : "session";
}

bool tpm_as_found(struct conformance *c, const struct tpm_handles *then)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_handles now;
    bool same = true;
    if (!tpm_list_handles(c, &now)) {
        return false;
    }
    for (size_t i = 0; i < now.count; i++) {
        uint32_t handle = now.values[i];
        if (handle == t->ek.handle || handle == t->srk.handle || tpm_is_listed(then, handle)) {
            continue;
        }
        same = conformance_check(c, false, "the %s 0x%08x was left in the TPM", kind_of(handle), handle);
        if (handle >> TPM2_HT_SHIFT != TPM2_HT_PERSISTENT) {
            (void)tpm_flush_raw(c, handle);
        }
    }
    for (size_t i = 0; i < then->count; i++) {
        uint32_t handle = then->values[i];
        bool cleared = t->cleared.clear.tried && handle >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT;
        if (!cleared && !tpm_is_listed(&now, handle)) {
            same = conformance_check(c, false, "the %s 0x%08x, which was there before, is gone",
                                     kind_of(handle), handle);
        }
    }
    return same;
}
