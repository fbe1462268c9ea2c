/* SPDX-License-Identifier: MIT */
/* A TPM that misbehaves, reproducibly: what a seed has decided happens to command N, whatever happened before.
 *
 * For each command the same number of random bytes is drawn, so that a fault that does not fit a command does not shift
 * the ones that follow. What is changed is the answer as it came: its own header decides what fits. */
#include "tests/hostile/hostile.h"
#include "crypto/bytes/bytes.h"
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include "tpm/tools/explain.h"
#include "tpm/tpm2.h"
#include <stdio.h>
#include <string.h>

#define RATE_DEFAULT 8
/* Where things stand in a response [P1 r1.59 18]. */
#define HEADER_SIZE 10
#define RC_AT 6
#define HANDLE_AT 10
#define HANDLE_END 14

#define BIT(fault) (UINT32_C(1) << HOSTILE_##fault)
#define ALL_FAULTS ((UINT32_C(1) << HOSTILE_COUNT) - 1)

static const char *const names[HOSTILE_COUNT] = {
    [HOSTILE_RETRY] = "retry",       [HOSTILE_TESTING] = "testing",       [HOSTILE_NVRATE] = "nvrate",
    [HOSTILE_YIELDED] = "yielded",   [HOSTILE_LOCKOUT] = "lockout",       [HOSTILE_SESSIONS] = "sessions",
    [HOSTILE_OBJECTS] = "objects",   [HOSTILE_VENDOR] = "vendor",         [HOSTILE_LAYER] = "layer",
    [HOSTILE_LOST] = "lost",         [HOSTILE_RESET] = "reset",           [HOSTILE_BROKEN] = "broken",
    [HOSTILE_DELAY] = "delay",       [HOSTILE_TRUNCATE] = "truncate",     [HOSTILE_CORRUPT] = "corrupt",
    [HOSTILE_LONGER] = "longer",     [HOSTILE_SHORTER] = "shorter",       [HOSTILE_SIZE] = "size",
    [HOSTILE_TAG] = "tag",           [HOSTILE_PARAMETERS] = "parameters", [HOSTILE_TRAILING] = "trailing",
    [HOSTILE_PREVIOUS] = "previous", [HOSTILE_NONCE] = "nonce",           [HOSTILE_AUTH] = "auth",
    [HOSTILE_HANDLE] = "handle",
};

static struct hostile state;

const char *hostile_fault_name(enum hostile_fault fault)
{
    return names[fault];
}

struct hostile *hostile_state(void)
{
    return &state;
}

/* ---- The name ---------------------------------------------------------------------------------------------------- */

static bool text_is(struct bytes text, const char *word)
{
    return bytes_equal_public(text, bytes_of_text(word));
}

/* Take what stands before the first of `stop` from the front of rest, and that character too. */
static struct bytes take_until(struct bytes *rest, char stop)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->p, stop, rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->p) : rest->len;
    struct bytes taken = bytes_of(rest->p, len);
    size_t used = end != NULL ? len + 1 : len;
    *rest = bytes_of(rest->p + used, rest->len - used);
    return taken;
}

static bool parse_faults(struct hostile *h, struct bytes list)
{
    h->faults = 0;
    while (list.len > 0) {
        struct bytes name = take_until(&list, '+');
        unsigned i = 0;
        while (i < HOSTILE_COUNT && !text_is(name, names[i])) {
            i++;
        }
        if (i == HOSTILE_COUNT) {
            return false;
        }
        h->faults |= UINT32_C(1) << i;
    }
    return h->faults != 0;
}

static bool parse_number(struct bytes text, uint32_t *number)
{
    uint64_t value;
    bool ok = dps_decimal_parse(text, UINT32_MAX, &value) == 0 && value > 0;
    *number = ok ? (uint32_t)value : 0;
    return ok;
}

static bool parse_option(struct hostile *h, struct bytes option)
{
    struct bytes value = option;
    struct bytes key = take_until(&value, '=');
    if (text_is(key, "faults")) {
        return parse_faults(h, value);
    }
    if (text_is(key, "rate")) {
        return parse_number(value, &h->rate);
    }
    if (text_is(key, "at")) {
        return parse_number(value, &h->at);
    }
    h->log = text_is(option, "log");
    return h->log;
}

const char *hostile_open(const char *name, char *why, size_t why_size)
{
    struct hostile *h = &state;
    const char *end = strchr(name, '/');
    struct bytes rest = bytes_of(name, end != NULL ? (size_t)(end - name) : 0);
    struct bytes seed = take_until(&rest, ',');
    bool good = end != NULL && seed.len > 0 && seed.len < sizeof h->seed;
    *h = (struct hostile){.on = true, .faults = ALL_FAULTS, .rate = RATE_DEFAULT};
    while (good && rest.len > 0) {
        good = parse_option(h, take_until(&rest, ','));
    }
    if (good) {
        memcpy(h->seed, seed.p, seed.len);
        crypto_drbg_init(&h->drbg, seed);
        return end + 1;
    }
    size_t used =
        (size_t)snprintf(why, why_size,
                         "hostile:%s is not hostile:SEED[,faults=NAME+NAME...][,rate=N][,at=N][,log]/TPM; "
                         "the names of faults:",
                         name);
    for (unsigned i = 0; i < HOSTILE_COUNT && used < why_size; i++) {
        used += (size_t)snprintf(why + used, why_size - used, " %s", names[i]);
    }
    return NULL;
}

/* ---- Which fault ------------------------------------------------------------------------------------------------- */

/* The faults that make sense for a command: a TPM that lacks room for a session says so when asked for one. */
static uint32_t faults_for(const struct hostile_passage *p)
{
    uint32_t faults = ALL_FAULTS;
    bool session = p->code == TPM2_CC_START_AUTH_SESSION;
    if (p->tag != TPM2_ST_SESSIONS) {
        faults &= ~(BIT(LOCKOUT) | BIT(PARAMETERS) | BIT(AUTH));
    }
    if (p->tag != TPM2_ST_SESSIONS && !session) {
        faults &= ~BIT(NONCE);
    }
    if (!session) {
        faults &= ~BIT(SESSIONS);
    }
    if (session || (!hostile_returns_handle(p->code) && p->code != TPM2_CC_IMPORT)) {
        faults &= ~BIT(OBJECTS);
    }
    if (!hostile_returns_handle(p->code)) {
        faults &= ~BIT(HANDLE);
    }
    if (p->h->previous_len == 0) {
        faults &= ~BIT(PREVIOUS);
    }
    return faults & p->h->faults;
}

static int bit_number(uint32_t set, uint32_t choice)
{
    int bits[32] = {0};
    uint32_t count = 0;
    for (int i = 0; i < HOSTILE_COUNT; i++) {
        if (set & (UINT32_C(1) << i)) {
            bits[count++] = i;
        }
    }
    return count == 0 ? -1 : bits[choice % count];
}

/* Returns the fault that this command suffers, or -1. */
static int draw(struct hostile_passage *p, struct bytes command)
{
    uint8_t random[16];
    crypto_drbg_generate(&p->h->drbg, random, sizeof random);
    struct bytes_reader r = bytes_reader_over(bytes_of(random, sizeof random));
    uint32_t chance = bytes_read_u32(&r);
    uint32_t choice = bytes_read_u32(&r);
    p->detail[0] = bytes_read_u32(&r);
    p->detail[1] = bytes_read_u32(&r);
    struct bytes_reader header = bytes_reader_over(command);
    p->tag = bytes_read_u16(&header);
    (void)bytes_read_u32(&header);
    p->code = bytes_read_u32(&header);
    p->h->commands++;
    bool now = p->h->at != 0 ? p->h->commands == p->h->at : chance % p->h->rate == 0;
    return now ? bit_number(faults_for(p), choice) : -1;
}

/* ---- Instead of an answer ---------------------------------------------------------------------------------------- */

static void refuse(struct hostile_passage *p, uint32_t rc)
{
    struct bytes_writer w = bytes_writer_over(p->response, p->capacity);
    bytes_write_u16(&w, TPM2_ST_NO_SESSIONS);
    bytes_write_u32(&w, HEADER_SIZE);
    bytes_write_u32(&w, rc);
    p->len = w.len;
}

/* A flush that is refused with a code that nobody tries again leaves its object where it is. */
static void refuse_for_good(struct hostile_passage *p, uint32_t rc)
{
    refuse(p, rc);
    p->h->unflushed += p->code == TPM2_CC_FLUSH_CONTEXT;
    snprintf(p->done, sizeof p->done, "answered 0x%03X", (unsigned)rc);
}

static void storm(struct hostile_passage *p, uint32_t rc)
{
    static const uint32_t lengths[] = {1, 1, 1, 2, 5, 12, 100, UINT32_MAX};
    uint32_t length = lengths[p->detail[0] % (sizeof lengths / sizeof lengths[0])];
    p->h->storm_rc = rc;
    p->h->storm_left = length == UINT32_MAX ? length : length - 1;
    refuse(p, rc);
    if (length == UINT32_MAX) {
        snprintf(p->done, sizeof p->done, "answered 0x%03X from now on", (unsigned)rc);
    } else {
        snprintf(p->done, sizeof p->done, "answered 0x%03X (%u in all)", (unsigned)rc, (unsigned)length);
    }
}

/* Returns false if the fault is one of those whose command is executed. */
static bool answer_instead(struct hostile_passage *p, int fault)
{
    static const uint32_t storms[] = {
        [HOSTILE_RETRY] = TPM2_RC_RETRY,     [HOSTILE_TESTING] = TPM2_RC_TESTING,
        [HOSTILE_NVRATE] = TPM2_RC_NV_RATE,  [HOSTILE_YIELDED] = TPM2_RC_YIELDED,
        [HOSTILE_LOCKOUT] = TPM2_RC_LOCKOUT,
    };
    /* Session and object memory and handles [P2 r1.59 6.6.3]; what the resource managers of Windows and of tpm2-tss
     * put into the upper half is more than a TPM's 12 bits. */
    static const uint32_t no_session[] = {TPM2_RC_SESSION_MEMORY, TPM2_RC_SESSION_HANDLES, TPM2_RC_MEMORY};
    static const uint32_t no_object[] = {TPM2_RC_OBJECT_MEMORY, TPM2_RC_OBJECT_HANDLES, TPM2_RC_MEMORY};
    static const uint32_t layers[] = {0x000B0143, 0x000C0902, 0x000A000A, 0x80280400};
    uint32_t detail = p->detail[0];
    switch (fault) {
    case HOSTILE_RETRY:
    case HOSTILE_TESTING:
    case HOSTILE_NVRATE:
    case HOSTILE_YIELDED:
    case HOSTILE_LOCKOUT:
        storm(p, storms[fault]);
        return true;
    case HOSTILE_SESSIONS:
        refuse_for_good(p, no_session[detail % 3]);
        return true;
    case HOSTILE_OBJECTS:
        refuse_for_good(p, no_object[detail % 3]);
        return true;
    case HOSTILE_VENDOR:
        refuse_for_good(p, 0x500 | (detail & 0x7F));
        return true;
    case HOSTILE_LAYER:
        refuse_for_good(p, layers[detail % 4]);
        return true;
    default:
        return false;
    }
}

/* ---- One command ------------------------------------------------------------------------------------------------- */

static void note(struct hostile_passage *p, int fault)
{
    struct hostile *h = p->h;
    h->injected |= UINT32_C(1) << fault;
    h->last_code = p->code;
    if (!h->log) {
        return;
    }
    const char *command = tpm2_explain_command_name(p->code);
    fprintf(stderr, "hostile:%s: command %u, %s: %s: %s\n", h->seed, (unsigned)h->commands,
            command != NULL ? command : "unknown", names[fault], p->done);
}

/* What the TPM made, and whether the caller can know of it: only an answer that begins as the honest one does tells. */
static void count_untold(struct hostile_passage *p, const uint8_t begin[HANDLE_END], size_t honest_len,
                         bool arrived)
{
    static const uint8_t success[HANDLE_AT - RC_AT];
    if (!hostile_returns_handle(p->code) || honest_len < HANDLE_END ||
        memcmp(begin + RC_AT, success, sizeof success) != 0) {
        return;
    }
    bool told = arrived && p->len >= HANDLE_END &&
                memcmp(p->response + RC_AT, begin + RC_AT, HANDLE_END - RC_AT) == 0;
    p->h->untold += !told;
}

static int execute(struct posix_tpm *t, struct hostile_passage *p, struct bytes command, int fault,
                   uint32_t timeout_ms)
{
    int error = 0;
    if (fault == HOSTILE_RESET) {
        error = hostile_reset(t);
        snprintf(p->done, sizeof p->done, "objects and sessions are gone");
    }
    if (error == 0) {
        error = posix_tpm_transact(t, command, p->response, p->capacity, &p->len, timeout_ms);
    }
    if (error != 0) {
        return error;
    }
    uint8_t begin[HANDLE_END] = {0};
    uint8_t honest[sizeof state.previous];
    size_t honest_len = p->len < sizeof honest ? p->len : 0;
    memcpy(honest, p->response, honest_len);
    memcpy(begin, p->response, p->len < sizeof begin ? p->len : sizeof begin);
    if (fault >= 0) {
        hostile_change(p, fault);
    }
    count_untold(p, begin, honest_len, fault != HOSTILE_BROKEN);
    memcpy(state.previous, honest, honest_len);
    state.previous_len = honest_len;
    bytes_wipe(honest, honest_len);
    return 0;
}

/* The transport breaks off, before or after the TPM did what was asked. */
static int break_off(struct posix_tpm *t, struct hostile_passage *p, struct bytes command, int fault,
                     uint32_t timeout_ms)
{
    if (fault == HOSTILE_BROKEN) {
        (void)execute(t, p, command, fault, timeout_ms);
    } else {
        p->h->unflushed += p->code == TPM2_CC_FLUSH_CONTEXT;
    }
    posix_tpm_break(t);
    snprintf(p->done, sizeof p->done, "the connection breaks off %s the command is executed",
             fault == HOSTILE_BROKEN ? "after" : "before");
    note(p, fault);
    return BYTES_E_TPM_TRANSPORT;
}

int hostile_transact(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                     size_t *response_len, uint32_t timeout_ms)
{
    if (!state.on) {
        return posix_tpm_transact(t, command, response, capacity, response_len, timeout_ms);
    }
    struct hostile_passage p = {.h = &state, .response = response, .capacity = capacity};
    *response_len = 0;
    /* Drawn also during a storm, so that what comes after it does not depend on its length. */
    int fault = draw(&p, command);
    bool locked_out = p.h->storm_rc == TPM2_RC_LOCKOUT;
    if (p.h->storm_left > 0 && (!locked_out || p.tag == TPM2_ST_SESSIONS)) {
        p.h->storm_left -= p.h->storm_left != UINT32_MAX;
        refuse(&p, p.h->storm_rc);
        *response_len = p.len;
        return 0;
    }
    if (fault == HOSTILE_LOST || fault == HOSTILE_BROKEN) {
        return break_off(t, &p, command, fault, timeout_ms);
    }
    if (fault >= 0 && answer_instead(&p, fault)) {
        note(&p, fault);
        *response_len = p.len;
        return 0;
    }
    int error = execute(t, &p, command, fault, timeout_ms);
    if (fault >= 0 && error == 0 && p.done[0] != 0) {
        note(&p, fault);
    }
    *response_len = error == 0 ? p.len : 0;
    return error;
}
