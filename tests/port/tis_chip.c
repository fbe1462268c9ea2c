/* SPDX-License-Identifier: MIT */
#include "tests/port/tis_chip.h"
#include <string.h>

#define ACCESS 0x000
#define STS 0x018
#define FIFO 0x024
#define INTERFACE 0x030
#define DID_VID 0xF00

#define ACCESS_TIME_US 2
#define REAL_TPM_MS 20000

static uint64_t later(const struct tis_chip *c, uint64_t us)
{
    return us > TIS_CHIP_FOREVER - c->now_us ? TIS_CHIP_FOREVER : c->now_us + us;
}

uint32_t tis_chip_random(struct tis_chip *c, uint32_t below)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 17;
    c->random ^= c->random << 5;
    return c->random % below;
}

/* A time, or when they vary, one up to it. */
static uint64_t after(struct tis_chip *c, uint64_t us)
{
    return later(c, c->vary && us > 0 && us < UINT32_MAX ? tis_chip_random(c, (uint32_t)us) : us);
}

void tis_chip_blame(struct tis_chip *c, const char *violation)
{
    if (c->violation == NULL) {
        c->violation = violation;
    }
}

void tis_chip_init(struct tis_chip *c, struct port_tpm tpm)
{
    memset(c, 0, sizeof *c);
    c->tpm = tpm;
    c->random = 1;
    c->burst = 32;
    c->did_vid = 0x001D15D1;
    c->active = -1;
    c->wanted = -1;
    c->other = -1;
    c->next_us = TIS_CHIP_FOREVER;
}

static uint64_t monotonic_ms(void *context)
{
    return ((struct tis_chip *)context)->now_us / 1000;
}

static int sleep_ms(void *context, uint32_t ms)
{
    ((struct tis_chip *)context)->now_us += (uint64_t)ms * 1000;
    return 0;
}

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return 0;
}

struct port_clock tis_chip_clock(struct tis_chip *c)
{
    return (struct port_clock){
        .context = c, .unix_seconds = unix_seconds, .monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms};
}

bool tis_chip_fails(struct tis_chip *c)
{
    c->transfers++;
    if (c->fail_after > 0) {
        c->fail_after--;
        return false;
    }
    if (c->fail == 0) {
        return false;
    }
    c->fail--;
    return true;
}

static void become(struct tis_chip *c, enum tis_chip_state state)
{
    c->state = state;
    c->next_us = TIS_CHIP_FOREVER;
    c->room = 0;
    c->room_at_us = c->now_us;
    if (state == CHIP_READY) {
        c->command_len = 0;
    }
    if (state == CHIP_COMPLETION) {
        c->response_at = 0;
        c->valid_at_us = after(c, c->valid_us);
    }
}

/* What time has changed. */
static void settle(struct tis_chip *c)
{
    c->now_us += ACCESS_TIME_US;
    if (c->now_us >= c->next_us) {
        become(c, c->next);
    }
    if (c->other >= 0 && c->now_us >= c->other_until_us) {
        c->other = -1;
        c->active = -1;
    }
    if (c->other >= 0) {
        c->active = c->other;
    }
    if (c->active < 0 && c->wanted >= 0 && c->now_us >= c->wanted_us) {
        c->active = c->wanted;
        c->wanted = -1;
    }
}

static void go_to(struct tis_chip *c, enum tis_chip_state next, uint64_t when_us)
{
    c->next = next;
    c->next_us = when_us;
    settle(c);
}

/* ---- What the driver reads ---- */

static uint8_t read_access(const struct tis_chip *c, unsigned locality)
{
    if (c->now_us < c->reset_us) {
        return 0x01;
    }
    if (c->crb) { /* LOC_STATE */
        return (uint8_t)(0x81 | (c->active >= 0 ? 2 | c->active << 2 : 0));
    }
    return (uint8_t)(0x81 | (c->active == (int)locality ? 0x20 : 0) | (c->seized ? 0x10 : 0) |
                     (c->other_waits ? 0x04 : 0) | (c->wanted == (int)locality ? 0x02 : 0));
}

static bool expects(const struct tis_chip *c)
{
    if (c->state != CHIP_RECEPTION) {
        return false;
    }
    if (c->command_len < 6) {
        return true;
    }
    const uint8_t *p = c->command + 2;
    return c->command_len < ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
}

static bool has_data(const struct tis_chip *c)
{
    return c->state == CHIP_COMPLETION && c->response_at < c->response_len;
}

/* A burst that was used up is refilled after a while; one that was announced stays until it is used up. */
static void refill(struct tis_chip *c)
{
    bool moving = c->state == CHIP_READY || c->state == CHIP_RECEPTION || has_data(c);
    if (!moving) {
        c->room = 0;
    } else if (c->room == 0 && c->now_us >= c->room_at_us) {
        c->room = c->vary ? 1 + tis_chip_random(c, c->burst) : c->burst;
    }
    if (has_data(c) && c->room > c->response_len - c->response_at) {
        c->room = (unsigned)(c->response_len - c->response_at);
    }
}

/* What is not valid is wrong on purpose. commandReady always holds. */
static void read_status(struct tis_chip *c, uint8_t sts[4])
{
    bool valid = c->now_us >= c->valid_at_us && !c->stuck;
    uint8_t flags = (uint8_t)((expects(c) ? 0x08 : 0) | (has_data(c) ? 0x10 : 0));
    refill(c);
    sts[0] = (uint8_t)((valid ? 0x80 : 0) | (valid ? flags : flags ^ 0x18) | 0x04 |
                       (c->state == CHIP_READY ? 0x40 : 0));
    sts[1] = (uint8_t)c->room;
    sts[2] = (uint8_t)(c->room >> 8);
    sts[3] = 0x04; /* the TPM 2.0 family */
    if (c->seize_after > 0 && --c->seize_after == 0) {
        c->other = 3;
        c->other_until_us = later(c, 5000);
        c->seized = true;
    }
}

static uint8_t response_byte(struct tis_chip *c)
{
    if (!has_data(c) || c->room == 0) {
        tis_chip_blame(c, "read from an empty FIFO");
        return 0xFF;
    }
    if (c->now_us < c->valid_at_us) {
        tis_chip_blame(c, "read from the FIFO before the status was valid");
    }
    if (--c->room == 0) {
        c->room_at_us = after(c, c->room_us);
    }
    uint8_t byte = c->response[c->response_at++];
    if (c->lie > 0 && c->response_at >= 3 && c->response_at <= 6) {
        byte = (uint8_t)(c->lie_size >> (8 * (6 - c->response_at)));
    }
    if (c->flip > 0 && c->response_at == 12) {
        byte ^= 0x10;
    }
    return byte;
}

static void read_fifo(struct tis_chip *c, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = response_byte(c);
    }
    c->valid_at_us = after(c, c->valid_us);
}

static void give_u32(uint8_t *out, size_t len, uint32_t value)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

/* A locality that does not have the TPM reads ones. */
void tis_chip_read(struct tis_chip *c, unsigned locality, unsigned offset, uint8_t *out, size_t len)
{
    uint8_t sts[4];
    settle(c);
    memset(out, c->presence == CHIP_FLOATS_LOW ? 0 : 0xFF, len);
    if (c->presence != CHIP_PRESENT) {
        return;
    }
    if (offset != FIFO && len > (offset == ACCESS ? 1 : 4)) {
        tis_chip_blame(c, "read beyond the end of a register");
    } else if (offset == ACCESS) {
        out[0] = read_access(c, locality);
    } else if (c->now_us < c->reset_us) {
        tis_chip_blame(c, "a register was read before the registers were valid");
    } else if (offset == DID_VID) {
        give_u32(out, len, c->crb ? 0 : c->did_vid); /* the other interface has its buffer there */
    } else if (offset == INTERFACE) {
        give_u32(out, len, c->crb ? 0x4001 : 0x2100);
    } else if (offset == STS && c->active == (int)locality) {
        read_status(c, sts);
        memcpy(out, sts, len);
    } else if (offset == FIFO && c->active == (int)locality) {
        read_fifo(c, out, len);
    } else if (offset != STS && offset != FIFO) {
        tis_chip_blame(c, "an unknown register was read");
    }
}

/* ---- What the driver writes ---- */

static void write_access(struct tis_chip *c, unsigned locality, uint8_t value)
{
    c->requested += value == 0x02;
    if (value == 0x02 && c->active != (int)locality) {
        c->wanted = (int)locality;
        c->wanted_us = after(c, c->grant_us);
    } else if (value == 0x20 && c->active == (int)locality) {
        c->active = -1;
        c->other_waits = false;
        c->relinquished++;
    } else if (value == 0x10) {
        c->seized = false;
    } else if (value == 0x08 && c->active < (int)locality) {
        c->other = -1;
        c->active = (int)locality;
        c->wanted = -1;
        if (c->state != CHIP_IDLE) { /* what the former owner was doing is aborted */
            become(c, CHIP_IDLE);
        }
    } else if (value != 0x02 && value != 0x08 && value != 0x20) {
        tis_chip_blame(c, "more than one bit written to TPM_ACCESS");
    }
}

static void execute(struct tis_chip *c)
{
    if (c->state != CHIP_RECEPTION || expects(c)) {
        tis_chip_blame(c, "tpmGo without a whole command");
        return;
    }
    become(c, CHIP_EXECUTION);
    if (c->execute_us == TIS_CHIP_FOREVER) {
        return;
    }
    struct bytes command = {c->command, c->command_len};
    if (c->tpm.transact(c->tpm.context, command, c->response, sizeof c->response - 3, &c->response_len,
                        REAL_TPM_MS) != 0) {
        tis_chip_blame(c, "the real TPM failed");
    }
    c->executed++;
    if (c->truncate > 0) {
        c->response_len -= 2;
    }
    if (c->surplus > 0) {
        c->response_len += 3;
    }
    go_to(c, CHIP_COMPLETION, after(c, c->execute_us));
}

static void command_ready(struct tis_chip *c)
{
    c->stuck = false;
    c->dropped = false;
    c->doubled = false;
    if (c->state == CHIP_READY || (c->next_us != TIS_CHIP_FOREVER && c->state != CHIP_EXECUTION)) {
        return;
    }
    if (c->state == CHIP_IDLE) {
        go_to(c, CHIP_READY, after(c, c->ready_us));
    } else if (c->state == CHIP_COMPLETION) {
        become(c, CHIP_IDLE);
    } else {
        c->aborted++;
        if (c->next_us == TIS_CHIP_FOREVER || c->next != CHIP_IDLE) {
            go_to(c, CHIP_IDLE, after(c, c->abort_us));
        }
    }
}

/* A fault of the transfer does not repeat for ever. */
static void response_retry(struct tis_chip *c)
{
    if (c->state != CHIP_COMPLETION) {
        tis_chip_blame(c, "responseRetry without a response");
        return;
    }
    if (c->truncate > 0 && --c->truncate == 0) {
        c->response_len += 2;
    }
    if (c->surplus > 0 && --c->surplus == 0) {
        c->response_len -= 3;
    }
    c->lie -= c->lie > 0;
    c->flip -= c->flip > 0;
    c->retried++;
    become(c, CHIP_COMPLETION);
}

static void write_fifo(struct tis_chip *c, const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (c->state == CHIP_READY) {
            c->state = CHIP_RECEPTION;
            c->command_len = 0;
        }
        if (!expects(c)) {
            /* A byte that was doubled makes the rest of the command too long, which is not the driver's doing. */
            if (!c->doubled) {
                tis_chip_blame(c, "written to a FIFO that expects nothing");
            }
            return;
        }
        if (c->room == 0) {
            tis_chip_blame(c, "written to a full FIFO");
            return;
        }
        if (--c->room == 0) {
            c->room_at_us = after(c, c->room_us);
        }
        bool odd = c->command_len == 3 && !c->dropped;
        if (odd && c->drop > 0) {
            c->drop--;
            c->dropped = true;
            continue;
        }
        c->command[c->command_len++] = in[i];
        if (odd && c->twice > 0) {
            c->twice--;
            c->doubled = true;
            c->command[c->command_len++] = in[i];
        }
    }
    c->valid_at_us = after(c, c->valid_us);
    if (!expects(c) && c->invalid > 0) {
        c->invalid--;
        c->stuck = true;
    }
}

void tis_chip_write(struct tis_chip *c, unsigned locality, unsigned offset, const uint8_t *in, size_t len)
{
    settle(c);
    if (c->presence != CHIP_PRESENT) {
        return;
    }
    if (c->now_us < c->reset_us) {
        tis_chip_blame(c, "a register was written before the registers were valid");
    } else if (offset != FIFO && len != 1) {
        tis_chip_blame(c, "more than a byte written to a register");
    } else if (offset == ACCESS) {
        write_access(c, locality, in[0]);
    } else if (offset != STS && offset != FIFO) {
        tis_chip_blame(c, "an unknown register was written");
    } else if (c->active != (int)locality) {
        return;
    } else if (offset == FIFO) {
        write_fifo(c, in, len);
    } else if (in[0] == 0x40) {
        command_ready(c);
    } else if (in[0] == 0x20) {
        execute(c);
    } else if (in[0] == 0x02) {
        response_retry(c);
    } else {
        tis_chip_blame(c, "more than one bit written to TPM_STS");
    }
}

struct bytes tis_chip_moved(const struct tis_chip *c)
{
    if (c->state == CHIP_COMPLETION) {
        return (struct bytes){c->response, c->response_at};
    }
    return (struct bytes){c->command, c->command_len};
}
