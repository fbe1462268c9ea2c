/* SPDX-License-Identifier: MIT */
/* How the hostile TPM changes an answer. The answer's own header decides which changes are possible: an answer without
 * an authorization area cannot lose it, and stays as it is. */
#include "crypto/bytes/bytes.h"
#include "port/posix/private.h"
#include "tests/hostile/hostile.h"
#include "tpm/tpm2.h"
#include <stdio.h>
#include <string.h>

#define DELAY_MAX_MS 20
#define TRAILING_MAX 32
/* Where things stand in a response [P1 r1.59 18]. */
#define SIZE_AT 2
#define HEADER_SIZE 10
#define HANDLE_END 14
/* Commands that this project does not send, but others may [P2 r1.59 6.5.2]. */
#define CC_CONTEXT_LOAD 0x00000161
#define CC_HASH_SEQUENCE_START 0x00000186

bool hostile_returns_handle(uint32_t code)
{
    return code == TPM2_CC_CREATE_PRIMARY || code == TPM2_CC_LOAD || code == TPM2_CC_LOAD_EXTERNAL ||
           code == TPM2_CC_START_AUTH_SESSION || code == TPM2_CC_HMAC_START || code == CC_CONTEXT_LOAD ||
           code == CC_HASH_SEQUENCE_START;
}

static uint32_t get_u32(const uint8_t *p)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(p, 4));
    return bytes_read_u32(&r);
}

static void put_u32(uint8_t *p, uint32_t value)
{
    struct bytes_writer w = bytes_writer_over(p, 4);
    bytes_write_u32(&w, value);
}

/* Put n bytes at `at`, and let the header count them. */
static bool insert(struct hostile_passage *p, size_t at, const uint8_t *bytes, size_t n)
{
    if (at > p->len || n > p->capacity - p->len) {
        return false;
    }
    memmove(p->response + at + n, p->response + at, p->len - at);
    memcpy(p->response + at, bytes, n);
    p->len += n;
    put_u32(p->response + SIZE_AT, (uint32_t)p->len);
    return true;
}

/* Where the authorization area begins: after the parameters. 0: there is none. */
static size_t authorization_at(const struct hostile_passage *p, size_t *parameter_size_at)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(p->response, p->len));
    bool with = bytes_read_u16(&r) == TPM2_ST_SESSIONS;
    *parameter_size_at = hostile_returns_handle(p->code) ? HANDLE_END : HEADER_SIZE;
    if (!with || p->len < *parameter_size_at + 4) {
        return 0;
    }
    size_t at = *parameter_size_at + 4 + get_u32(p->response + *parameter_size_at);
    return at < p->len ? at : 0;
}

static void resize(struct hostile_passage *p, uint32_t announced)
{
    snprintf(p->done, sizeof p->done, "announced %u of %u bytes", (unsigned)announced, (unsigned)p->len);
    put_u32(p->response + SIZE_AT, announced);
}

static void change_size(struct hostile_passage *p, int fault)
{
    static const uint32_t impossible[] = {0, HEADER_SIZE - 1, UINT32_MAX, 0x80000000};
    uint32_t len = (uint32_t)p->len;
    if (fault == HOSTILE_LONGER) {
        resize(p, len + 1 + p->detail[0] % 64);
    } else if (fault == HOSTILE_SHORTER) {
        resize(p, len - 1 - p->detail[0] % (len - 1));
    } else {
        resize(p, impossible[p->detail[0] % 4]);
    }
}

static void change_parameter_size(struct hostile_passage *p)
{
    static const uint32_t off[] = {1, 2, UINT32_MAX, UINT32_MAX - 1, 0x7FFFFFFF, 5};
    size_t at;
    if (authorization_at(p, &at) == 0) {
        return;
    }
    uint32_t right = get_u32(p->response + at);
    uint32_t wrong = right + off[p->detail[0] % 6];
    put_u32(p->response + at, wrong);
    snprintf(p->done, sizeof p->done, "parameterSize %u for %u", (unsigned)wrong, (unsigned)right);
}

static void drop_authorization(struct hostile_passage *p)
{
    size_t ignored;
    size_t at = authorization_at(p, &ignored);
    if (at == 0) {
        return;
    }
    p->len = at;
    put_u32(p->response + SIZE_AT, (uint32_t)at);
    snprintf(p->done, sizeof p->done, "without its authorization area");
}

/* The nonce of a session is its first field: after the handle of TPM2_StartAuthSession, or in the authorization area.
 * A password authorization has none [P1 r1.59 19.4]: there one appears. */
static void change_nonce(struct hostile_passage *p)
{
    static const uint8_t unexpected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    size_t ignored;
    size_t at = p->code == TPM2_CC_START_AUTH_SESSION && p->len > HANDLE_END + 2
                    ? HANDLE_END
                    : authorization_at(p, &ignored);
    if (at == 0 || p->len < at + 2) {
        return;
    }
    size_t size = (size_t)(p->response[at] << 8 | p->response[at + 1]);
    if (size > 0 && at + 2 + size <= p->len) {
        p->response[at + 2 + p->detail[0] % size] ^= (uint8_t)(1U << p->detail[1] % 8);
        snprintf(p->done, sizeof p->done, "with another nonceTPM");
    } else if (size == 0 && insert(p, at + 2, unexpected, sizeof unexpected)) {
        p->response[at + 1] = sizeof unexpected;
        snprintf(p->done, sizeof p->done, "with a nonceTPM where none belongs");
    }
}

static void change_handle(struct hostile_passage *p)
{
    static const uint32_t wrong[] = {0, 0x80FFFFFE, 0x81010001, 0x40000007, 0x02FFFFFE, UINT32_MAX};
    if (p->len < HANDLE_END) {
        return;
    }
    uint32_t right = get_u32(p->response + HEADER_SIZE);
    uint32_t handle = wrong[p->detail[0] % 6];
    put_u32(p->response + HEADER_SIZE, handle);
    snprintf(p->done, sizeof p->done, "handle 0x%08X for 0x%08X", (unsigned)handle, (unsigned)right);
}

static void change_tag(struct hostile_passage *p)
{
    static const uint8_t tags[][2] = {{0x80, 0x01}, {0x80, 0x02}, {0x00, 0xC4}, {0x80, 0x00}, {0xFF, 0xFF}};
    const uint8_t *tag = tags[p->detail[0] % 5];
    if (memcmp(tag, p->response, 2) == 0) {
        tag = tags[4];
    }
    memcpy(p->response, tag, 2);
    snprintf(p->done, sizeof p->done, "with tag 0x%02X%02X", tag[0], tag[1]);
}

static void add_trailing(struct hostile_passage *p)
{
    static const uint8_t zeros[TRAILING_MAX];
    size_t n = 1 + p->detail[0] % TRAILING_MAX;
    if (insert(p, p->len, zeros, n)) {
        snprintf(p->done, sizeof p->done, "with %u bytes more", (unsigned)n);
    }
}

static void corrupt(struct hostile_passage *p)
{
    size_t at = p->detail[0] % p->len;
    unsigned bit = p->detail[1] % 8;
    p->response[at] ^= (uint8_t)(1U << bit);
    snprintf(p->done, sizeof p->done, "bit %u of byte %u is wrong", bit, (unsigned)at);
}

static void truncate_answer(struct hostile_passage *p)
{
    size_t len = p->detail[0] % p->len;
    snprintf(p->done, sizeof p->done, "%u of %u bytes", (unsigned)len, (unsigned)p->len);
    p->len = len;
}

static void answer_previous(struct hostile_passage *p)
{
    const struct hostile *before = p->h;
    if (before->previous_len > p->capacity) {
        return;
    }
    memcpy(p->response, before->previous, before->previous_len);
    p->len = before->previous_len;
    snprintf(p->done, sizeof p->done, "the answer to the command before");
}

static void delay(struct hostile_passage *p)
{
    uint32_t ms = 1 + p->detail[0] % DELAY_MAX_MS;
    const struct port_clock clock = posix_clock();
    (void)clock.sleep_ms(clock.context, ms);
    snprintf(p->done, sizeof p->done, "%u ms later", (unsigned)ms);
}

void hostile_change(struct hostile_passage *p, int fault)
{
    switch (fault) {
    case HOSTILE_DELAY:
        delay(p);
        break;
    case HOSTILE_TRUNCATE:
        truncate_answer(p);
        break;
    case HOSTILE_CORRUPT:
        corrupt(p);
        break;
    case HOSTILE_LONGER:
    case HOSTILE_SHORTER:
    case HOSTILE_SIZE:
        change_size(p, fault);
        break;
    case HOSTILE_TAG:
        change_tag(p);
        break;
    case HOSTILE_PARAMETERS:
        change_parameter_size(p);
        break;
    case HOSTILE_TRAILING:
        add_trailing(p);
        break;
    case HOSTILE_PREVIOUS:
        answer_previous(p);
        break;
    case HOSTILE_NONCE:
        change_nonce(p);
        break;
    case HOSTILE_AUTH:
        drop_authorization(p);
        break;
    case HOSTILE_HANDLE:
        change_handle(p);
        break;
    default:
        break;
    }
}
