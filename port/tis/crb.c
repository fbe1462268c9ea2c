/* SPDX-License-Identifier: MIT */
/* The states of the interface, as seen by its driver [TCG PC Client Platform TPM Profile v1.05 6.5.3]:
 *
 *   Idle --cmdReady--> Ready --bytes--> Reception --Start--> Execution --> Completion --goIdle--> Idle
 *
 * A bit that is written stays set until the TPM has done what it asks for: nothing else is asked meanwhile. What a
 * register says is believed only as far as it makes sense: the sizes and places of the buffers were checked once, and
 * the response's size is checked before more than its header is read. */
#include "port/tis/crb.h"
#include "crypto/bytes/bytes.h"
#include "tpm/frame.h"

/* Registers, as offsets within a locality. */
#define LOC_STATE 0x00
#define LOC_CTRL 0x08
#define INTERFACE_ID 0x30
#define VENDOR_ID 0x34 /* its upper half */
#define CTRL_REQ 0x40
#define CTRL_STS 0x44
#define CTRL_CANCEL 0x48
#define CTRL_START 0x4C
#define CMD_SIZE 0x58
#define CMD_ADDRESS 0x5C
#define RSP_SIZE 0x64
#define RSP_ADDRESS 0x68
#define DATA_BUFFER 0x80
#define LOCALITY_SIZE 0x1000

#define LOC_STATE_VALID 0x80
#define LOC_STATE_ZERO 0x60 /* always read as 0 from a TPM */
#define LOC_STATE_ASSIGNED 0x02
#define LOC_STATE_ACTIVE 0x1C /* the locality that has it, from bit 2 on */
#define LOC_STATE_OWNER (LOC_STATE_VALID | LOC_STATE_ZERO | LOC_STATE_ASSIGNED | LOC_STATE_ACTIVE)
#define LOC_CTRL_REQUEST 0x01
#define LOC_CTRL_RELINQUISH 0x02
#define INTERFACE_TYPE 0x0F
#define INTERFACE_CRB 0x01
#define REQ_READY 0x01
#define REQ_IDLE 0x02
#define STS_ERROR 0x01
#define STS_IDLE 0x02
#define CANCEL 0x01
#define START 0x01

/* No chip, or another locality has it: then all bits of a register are 1, which none of them ever says. */
#define NOBODY 0xFFFFFFFF

#define HEADER 10
#define WORD 4

static uint64_t now(const struct port_crb *c)
{
    return c->clock.monotonic_ms(c->clock.context);
}

static uint64_t earlier(uint64_t deadline, uint64_t other)
{
    return deadline < other ? deadline : other;
}

static uint32_t word_of(const uint8_t bytes[WORD])
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int read_register(const struct port_crb *c, uint16_t offset, uint32_t *value)
{
    uint8_t bytes[WORD];
    const int error = c->bus.read(c->bus.context, c->locality, offset, bytes, sizeof bytes);
    *value = error == 0 ? word_of(bytes) : NOBODY;
    return error == 0 && *value == NOBODY ? BYTES_E_TPM_TRANSPORT : error;
}

static int write_register(const struct port_crb *c, uint16_t offset, uint8_t value)
{
    const uint8_t bytes[WORD] = {value, 0, 0, 0};
    return c->bus.write(c->bus.context, c->locality, offset, bytes, sizeof bytes);
}

/* Look again a little later, unless the time was over before this look: who was interrupted after it looks again. */
static int pause_unless(const struct port_crb *c, bool late)
{
    return late ? BYTES_E_TIMEOUT : c->clock.sleep_ms(c->clock.context, PORT_TIS_POLL_MS);
}

/* Wait until the TPM has done what these bits ask for. */
static int wait_done(const struct port_crb *c, uint16_t offset, uint32_t bits, uint64_t deadline)
{
    for (;;) {
        uint32_t value;
        const bool late = now(c) >= deadline;
        int error = read_register(c, offset, &value);
        if (error != 0 || (value & bits) == 0) {
            return error;
        }
        error = pause_unless(c, late);
        if (error != 0) {
            return error;
        }
    }
}

/* ---- Localities ---- */

/* What LOC_STATE says if the locality is ours. */
static uint32_t ours(const struct port_crb *c)
{
    return LOC_STATE_VALID | LOC_STATE_ASSIGNED | (uint32_t)c->locality << 2;
}

/* Wait until these bits of LOC_STATE are as wanted. A TPM that comes out of reset may not answer at all yet. */
static int wait_locality(const struct port_crb *c, uint32_t bits, uint32_t wanted, uint64_t end,
                         uint32_t *state)
{
    const uint64_t deadline = earlier(end, now(c) + PORT_TIS_TIMEOUT_A_MS);
    for (;;) {
        const bool late = now(c) >= deadline;
        const int error = read_register(c, LOC_STATE, state);
        if (error == 0 && (*state & bits) == wanted) {
            return 0;
        }
        const int over = pause_unless(c, late);
        if (over != 0) {
            return error != 0 ? error : over;
        }
    }
}

static int wait_present(const struct port_crb *c, uint32_t bits, uint64_t end, uint32_t *state)
{
    const int error = wait_locality(c, bits, LOC_STATE_VALID, end, state);
    return error == BYTES_E_TIMEOUT ? BYTES_E_TPM_TRANSPORT : error;
}

static int request_locality(const struct port_crb *c, uint64_t end)
{
    uint32_t state;
    int error = wait_present(c, LOC_STATE_VALID | LOC_STATE_ZERO, end, &state);
    if (error != 0 || (state & LOC_STATE_OWNER) == ours(c)) {
        return error;
    }
    error = write_register(c, LOC_CTRL, LOC_CTRL_REQUEST);
    return error != 0 ? error : wait_locality(c, LOC_STATE_OWNER, ours(c), end, &state);
}

int port_crb_relinquish(struct port_crb *c)
{
    return write_register(c, LOC_CTRL, LOC_CTRL_RELINQUISH);
}

/* ---- Buffers ---- */

/* Moved word by word, since an access of another size may be refused; what follows the last byte of a message in its
 * word is 0, or not looked at. */
static int write_buffer(const struct port_crb *c, struct bytes command)
{
    uint8_t word[WORD];
    int error = 0;
    for (size_t at = 0; at < command.len && error == 0; at += WORD) {
        for (size_t i = 0; i < WORD; i++) {
            word[i] = at + i < command.len ? command.p[at + i] : 0;
        }
        error = c->bus.write(c->bus.context, c->locality, (uint16_t)(c->command_at + at), word, WORD);
    }
    /* It may have been a part of an authValue. */
    bytes_wipe(word, sizeof word);
    return error;
}

/* The response's bytes from `from` up to `to`, to the same places in out. */
static int read_buffer(const struct port_crb *c, uint8_t *out, size_t from, size_t to)
{
    uint8_t word[WORD];
    int error = 0;
    for (size_t at = from - from % WORD; at < to && error == 0; at += WORD) {
        error = c->bus.read(c->bus.context, c->locality, (uint16_t)(c->response_at + at), word, WORD);
        for (size_t i = 0; i < WORD && error == 0; i++) {
            if (at + i >= from && at + i < to) {
                out[at + i] = word[i];
            }
        }
    }
    /* It may have been a part of what was unsealed. */
    bytes_wipe(word, sizeof word);
    return error;
}

/* ---- The exchange ---- */

/* To Ready from wherever an earlier exchange, or somebody else, has left it. */
static int make_ready(const struct port_crb *c, uint64_t end)
{
    uint32_t value;
    int error = read_register(c, CTRL_START, &value);
    if (error == 0 && (value & START)) {
        error = write_register(c, CTRL_CANCEL, CANCEL);
        if (error == 0) {
            error = wait_done(c, CTRL_START, START, earlier(end, now(c) + PORT_TIS_TIMEOUT_B_MS));
        }
    }
    /* Otherwise the next command would be cancelled, too. */
    if (error == 0) {
        error = write_register(c, CTRL_CANCEL, 0);
    }
    if (error == 0) {
        error = wait_done(c, CTRL_REQ, REQ_READY | REQ_IDLE, earlier(end, now(c) + PORT_TIS_TIMEOUT_C_MS));
    }
    if (error == 0) {
        error = write_register(c, CTRL_REQ, REQ_READY);
    }
    if (error == 0) {
        error = wait_done(c, CTRL_REQ, REQ_READY, earlier(end, now(c) + PORT_TIS_TIMEOUT_C_MS));
    }
    if (error == 0) {
        error = read_register(c, CTRL_STS, &value);
    }
    return error == 0 && (value & (STS_ERROR | STS_IDLE)) ? BYTES_E_TPM_TRANSPORT : error;
}

/* Nobody waits for that but the next exchange. */
static void go_idle(const struct port_crb *c)
{
    (void)write_register(c, CTRL_REQ, REQ_IDLE);
}

static int execute(const struct port_crb *c, uint64_t end)
{
    int error = write_register(c, CTRL_START, START);
    if (error == 0) {
        error = wait_done(c, CTRL_START, START, end);
    }
    if (error != 0) {
        (void)write_register(c, CTRL_CANCEL, CANCEL);
    }
    return error;
}

/* Whether what was read is a response: not if the TPM has failed, or if another locality has taken it meanwhile. */
static int check_status(const struct port_crb *c)
{
    uint32_t status;
    const int error = read_register(c, CTRL_STS, &status);
    return error == 0 && (status & STS_ERROR) ? BYTES_E_TPM_TRANSPORT : error;
}

static int read_response(const struct port_crb *c, uint8_t *response, size_t capacity, size_t *len)
{
    bool bad;
    int error = read_buffer(c, response, 0, HEADER);
    if (error != 0) {
        return error;
    }
    const size_t size = tpm2_response_size(bytes_of(response, HEADER), c->response_max, &bad);
    if (size == 0) {
        return BYTES_E_FORMAT;
    }
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    *len = size;
    return read_buffer(c, response, HEADER, size);
}

static int transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms)
{
    const struct port_crb *c = context;
    const uint64_t end = now(c) + timeout_ms;
    *response_len = 0;
    if (command.len < HEADER) {
        return BYTES_E_USAGE;
    }
    if (capacity < HEADER || command.len > c->command_max) {
        return BYTES_E_SPACE;
    }
    int error = request_locality(c, end);
    if (error == 0) {
        error = make_ready(c, end);
    }
    if (error == 0) {
        error = write_buffer(c, command);
    }
    if (error == 0) {
        error = execute(c, end);
    }
    if (error == 0) {
        error = read_response(c, response, capacity, response_len);
        const int status = check_status(c);
        error = status != 0 ? status : error;
        go_idle(c);
    }
    if (error != 0) {
        *response_len = 0;
    }
    return error;
}

struct port_tpm port_crb_tpm(struct port_crb *c)
{
    return (struct port_tpm){.context = c, .transact = transact};
}

/* ---- Looking for it ---- */

/* A buffer's place and size; whole words of it count. The TPM says where it is in the memory of the machine. */
static int find_buffer(const struct port_crb *c, uint32_t size, uint32_t low, uint32_t high, uint16_t *at,
                       uint16_t *max)
{
    const uint64_t place = (uint64_t)high << 32 | low;
    const uint64_t page = c->address + ((uint64_t)c->locality << 12);
    if (place < page + DATA_BUFFER || place >= page + LOCALITY_SIZE || place % WORD != 0) {
        return BYTES_E_NOT_PROVIDED;
    }
    *at = (uint16_t)(place - page);
    if (size > (uint32_t)LOCALITY_SIZE - *at) {
        return BYTES_E_NOT_PROVIDED;
    }
    *max = (uint16_t)(size - size % WORD);
    return *max < HEADER ? BYTES_E_NOT_PROVIDED : 0;
}

/* Size, lower and upper half of the address; each buffer's three registers stand side by side. */
static int find_buffers(struct port_crb *c)
{
    uint32_t command[3], response[3];
    int error = 0;
    for (uint16_t i = 0; i < 3 && error == 0; i++) {
        error = read_register(c, (uint16_t)(CMD_SIZE + WORD * i), &command[i]);
        if (error == 0) {
            error = read_register(c, (uint16_t)(RSP_SIZE + WORD * i), &response[i]);
        }
    }
    if (error == 0) {
        error = find_buffer(c, command[0], command[1], command[2], &c->command_at, &c->command_max);
    }
    if (error == 0) {
        error = find_buffer(c, response[0], response[1], response[2], &c->response_at, &c->response_max);
    }
    return error;
}

int port_crb_open(struct port_crb *c)
{
    uint32_t value;
    c->vendor = 0;
    c->device = 0;
    c->command_max = 0;
    if (c->locality > 4) {
        return BYTES_E_USAGE;
    }
    /* The other interface has this bit, too, and the rest of the register is another one: what it is comes first. */
    int error = wait_present(c, LOC_STATE_VALID, UINT64_MAX, &value);
    if (error == 0) {
        error = read_register(c, INTERFACE_ID, &value);
    }
    if (error == 0 && (value & INTERFACE_TYPE) != INTERFACE_CRB) {
        error = BYTES_E_NOT_PROVIDED;
    }
    if (error == 0) {
        error = read_register(c, VENDOR_ID, &value);
    }
    if (error != 0) {
        return error;
    }
    c->vendor = (uint16_t)(value & 0xFFFF);
    c->device = (uint16_t)(value >> 16);
    if (c->vendor == 0 || c->vendor == 0xFFFF) {
        return BYTES_E_TPM_TRANSPORT;
    }
    /* The other registers need not be there for a locality that does not have the TPM, or in Idle. */
    error = request_locality(c, UINT64_MAX);
    if (error == 0) {
        error = make_ready(c, UINT64_MAX);
    }
    if (error == 0) {
        error = find_buffers(c);
        go_idle(c);
    }
    if (error != 0) {
        c->command_max = 0; /* no command fits */
    }
    return error;
}
