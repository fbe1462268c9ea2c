/* SPDX-License-Identifier: MIT */
#include "tests/port/crb_chip.h"
#include <string.h>

#define LOC_STATE 0x00
#define LOC_CTRL 0x08
#define CTRL_REQ 0x40
#define CTRL_STS 0x44
#define CTRL_CANCEL 0x48
#define CTRL_START 0x4C
#define DATA 0x80
#define END 0x1000

#define ACCESS_TIME_US 2
#define REAL_TPM_MS 20000

static const uint8_t canceled[10] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x09};

static void blame(struct crb_chip *c, const char *violation)
{
    if (c->violation == NULL) {
        c->violation = violation;
    }
}

static uint64_t later(const struct crb_chip *c, uint64_t us)
{
    return us > CRB_CHIP_FOREVER - c->now_us ? CRB_CHIP_FOREVER : c->now_us + us;
}

void crb_chip_init(struct crb_chip *c, struct port_tpm tpm)
{
    memset(c, 0, sizeof *c);
    c->tpm = tpm;
    c->interface_id = 0x00024011; /* CRB is there and selected */
    c->did_vid = 0x001D15D1;
    c->command_size = c->response_size = END - DATA;
    c->command_address = c->response_address = PORT_CRB_ADDRESS_PC + DATA;
    c->other = -1;
    c->active = -1;
    c->wanted = -1;
}

static uint32_t noise(struct crb_chip *c)
{
    c->noise ^= c->noise << 13;
    c->noise ^= c->noise >> 17;
    c->noise ^= c->noise << 5;
    return c->noise;
}

/* What time has changed. */
static void settle(struct crb_chip *c)
{
    c->now_us += ACCESS_TIME_US;
    c->accesses++;
    if (c->request != 0 && c->now_us >= c->request_us) {
        c->state = c->request == 1 ? CRB_READY : CRB_IDLE;
        c->request = 0;
    }
    if (c->state == CRB_EXECUTION && c->now_us >= c->done_us) {
        c->state = CRB_COMPLETION;
        memcpy(c->response, c->answer, c->answer_len);
    }
    if (c->take_after > 0 && --c->take_after == 0) {
        c->other = 3;
        c->other_until_us = CRB_CHIP_FOREVER;
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

static bool fails(struct crb_chip *c)
{
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

static uint32_t word_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t read_data(struct crb_chip *c, unsigned offset)
{
    const unsigned begin = (unsigned)(c->response_address & (END - 1));
    if (c->state != CRB_COMPLETION) {
        blame(c, "the response was read before it was there");
    }
    if (offset < begin || offset + 4 > begin + c->response_size) {
        blame(c, "read beyond the response's buffer");
        return 0;
    }
    uint32_t value = word_at(c->response + (offset - begin));
    if (c->lie && offset == begin) {
        value = (value & 0xFFFF) | (c->lie_size >> 24) << 16 | (c->lie_size >> 16 & 0xFF) << 24;
    } else if (c->ones && offset >= begin + 12) {
        value = 0xFFFFFFFF;
    } else if (c->lie && offset == begin + 4) {
        value = (value & 0xFFFF0000) | (c->lie_size >> 8 & 0xFF) | (c->lie_size & 0xFF) << 8;
    }
    return value;
}

/* The control area, for the locality that has the TPM. */
static uint32_t read_control(struct crb_chip *c, unsigned offset)
{
    switch (offset) {
    case CTRL_REQ:
        return c->request;
    case CTRL_STS:
        return (c->error ? 1U : 0) | (c->state == CRB_IDLE ? 2U : 0);
    case CTRL_CANCEL:
        return c->cancel;
    case CTRL_START:
        return c->state == CRB_EXECUTION;
    case 0x58:
        return c->command_size;
    case 0x5C:
        return (uint32_t)c->command_address;
    case 0x60:
        return (uint32_t)(c->command_address >> 32);
    case 0x64:
        return c->response_size;
    case 0x68:
        return (uint32_t)c->response_address;
    case 0x6C:
        return (uint32_t)(c->response_address >> 32);
    default:
        if (offset < DATA) {
            blame(c, "an unknown register was read");
            return 0;
        }
        return read_data(c, offset);
    }
}

static uint32_t read_word(struct crb_chip *c, unsigned locality, unsigned offset)
{
    if (c->presence != CRB_PRESENT) {
        return c->presence == CRB_FLOATS_LOW ? 0 : 0xFFFFFFFF;
    }
    if (offset == LOC_STATE && c->access != 0) {
        return 0xFFFFFF00U | c->access;
    }
    if (offset == LOC_STATE) {
        const unsigned active = c->active >= 0 ? 2U | (unsigned)c->active << 2 : 0;
        return c->now_us < c->reset_us ? 0x01 : 0x81 | active;
    }
    if (c->now_us < c->reset_us) {
        blame(c, "a register was read before the registers were valid");
    }
    if (offset == 0x30 || offset == 0x34) {
        return offset == 0x30 ? c->interface_id : c->did_vid;
    }
    return c->active == (int)locality ? read_control(c, offset) : 0xFFFFFFFF;
}

static int chip_read(void *context, uint8_t locality, uint16_t offset, uint8_t *out, size_t len)
{
    struct crb_chip *c = context;
    settle(c);
    if (len != 4 || offset % 4 != 0 || offset >= END) {
        blame(c, "an access that is not one of four bytes");
        return BYTES_E_TPM_TRANSPORT;
    }
    if (fails(c)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    const uint32_t value = c->noise != 0 ? noise(c) : read_word(c, locality, offset);
    for (size_t i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
    return 0;
}

/* ---- What the driver writes ---- */

static void start(struct crb_chip *c)
{
    if (c->state != CRB_RECEPTION || c->cancel || c->request != 0) {
        blame(c, "Start without a command, or while something else is asked for");
        return;
    }
    c->state = CRB_EXECUTION;
    c->done_us = later(c, c->execute_us);
    if (c->fatal) {
        c->error = true;
        return;
    }
    const uint8_t *p = c->command + 2;
    const size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (len > c->command_size || c->execute_us == CRB_CHIP_FOREVER) {
        return;
    }
    c->executed++;
    if (c->tpm.transact(c->tpm.context, bytes_of(c->command, len), c->answer, sizeof c->answer,
                        &c->answer_len, REAL_TPM_MS) != 0) {
        blame(c, "the real TPM failed");
    }
}

static void cancel(struct crb_chip *c, bool on)
{
    c->cancel = on;
    if (on && c->state == CRB_EXECUTION && later(c, c->cancel_us) < c->done_us) {
        c->done_us = later(c, c->cancel_us);
        memcpy(c->answer, canceled, sizeof canceled);
        c->answer_len = sizeof canceled;
        c->cancelled++;
    }
}

static void request(struct crb_chip *c, uint32_t value)
{
    if (c->request != 0 || c->state == CRB_EXECUTION || (value != 1 && value != 2)) {
        blame(c, "cmdReady or goIdle while something else is asked for");
        return;
    }
    c->request = (uint8_t)value;
    c->request_us = later(c, value == 1 ? c->ready_us : c->idle_us);
}

static void write_data(struct crb_chip *c, unsigned offset, const uint8_t *in)
{
    const unsigned begin = (unsigned)(c->command_address & (END - 1));
    if ((c->state != CRB_READY && c->state != CRB_RECEPTION) || c->request != 0) {
        blame(c, "a command was written while the TPM is not ready");
    }
    if (offset < begin || offset + 4 > begin + c->command_size) {
        blame(c, "written beyond the command's buffer");
        return;
    }
    c->state = CRB_RECEPTION;
    memcpy(c->command + (offset - begin), in, 4);
}

static void write_word(struct crb_chip *c, unsigned locality, unsigned offset, const uint8_t *in)
{
    const uint32_t value = word_at(in);
    if (offset == LOC_CTRL && value == 1) {
        c->requested++;
        c->wanted = (int)locality;
        c->wanted_us = later(c, c->grant_us);
    } else if (offset == LOC_CTRL && value == 2) {
        c->active = c->active == (int)locality ? -1 : c->active;
    } else if (offset < DATA && value > 2) {
        blame(c, "more than one bit written to a register");
    } else if (c->active != (int)locality) {
        return;
    } else if (offset >= DATA) {
        write_data(c, offset, in);
    } else if (offset == CTRL_REQ) {
        request(c, value);
    } else if (offset == CTRL_CANCEL) {
        cancel(c, value == 1);
    } else if (offset == CTRL_START) {
        start(c);
    } else {
        blame(c, "an unknown register was written");
    }
}

static int chip_write(void *context, uint8_t locality, uint16_t offset, const uint8_t *bytes, size_t len)
{
    struct crb_chip *c = context;
    settle(c);
    if (len != 4 || offset % 4 != 0 || offset >= END) {
        blame(c, "an access that is not one of four bytes");
        return BYTES_E_TPM_TRANSPORT;
    }
    if (fails(c)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    if (c->presence == CRB_PRESENT && c->noise == 0) {
        if (c->now_us < c->reset_us) {
            blame(c, "a register was written before the registers were valid");
        }
        write_word(c, locality, offset, bytes);
    }
    return 0;
}

/* ---- Its clock ---- */

static uint64_t monotonic_ms(void *context)
{
    return ((struct crb_chip *)context)->now_us / 1000;
}

static int sleep_ms(void *context, uint32_t ms)
{
    ((struct crb_chip *)context)->now_us += (uint64_t)ms * 1000;
    return 0;
}

struct port_crb crb_chip_driver(struct crb_chip *c)
{
    return (struct port_crb){
        .bus = {.context = c, .read = chip_read, .write = chip_write},
        .clock = {.context = c, .monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms},
        .address = PORT_CRB_ADDRESS_PC,
    };
}
