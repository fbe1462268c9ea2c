/* SPDX-License-Identifier: MIT */
/* The states of the interface, as seen by its driver [TCG PC Client Platform TPM Profile v1.05 6.5.2]:
 *
 *   Idle --commandReady--> Ready --bytes--> Reception --tpmGo--> Execution --> Completion --commandReady--> Idle
 *
 * commandReady in Reception or Execution aborts, back to Idle. Idle and Execution look alike. */
#include "port/tis/tis.h"
#include "crypto/bytes/bytes.h"
#include "tpm/command.h"
#include "tpm/frame.h"

/* TPM_ACCESS */
#define ACCESS_VALID 0x80
#define ACCESS_ACTIVE 0x20 /* written: give up */
#define ACCESS_SEIZED 0x10 /* another locality took the TPM; written: seen */
#define ACCESS_SEIZE 0x08
#define ACCESS_PENDING 0x04 /* another locality waits */
#define ACCESS_REQUEST 0x02
#define ACCESS_ZERO 0x48 /* always read as 0 from a TPM */
#define NOBODY 0xFF      /* a bus without a TPM gives ones */

/* TPM_STS; its two middle bytes are the burst count */
#define STS_VALID 0x80 /* dataAvail and Expect are meaningful */
#define STS_COMMAND_READY 0x40
#define STS_GO 0x20
#define STS_DATA_AVAIL 0x10
#define STS_EXPECT 0x08
#define STS_RESPONSE_RETRY 0x02
#define STS_ZERO 0x23

/* TPM_INTERFACE_ID: the type in its lowest bits */
#define INTERFACE_TYPE 0x0F
#define INTERFACE_FIFO 0x00
#define INTERFACE_FIFO_I2C 0x02
#define INTERFACE_FIFO_TIS 0x0F /* as before this register existed */

#define HEADER 10
/* No TPM announces more [P2 r1.59 6.13, TPM_PT_MAX_RESPONSE_SIZE]. */
#define RESPONSE_SANE_MAX 65535
/* commandReady is written this often within time-out B: what it leads to depends on a state that cannot be seen. */
#define READY_WRITES 4

/* One exchange: until when all of it must be done, and what was seen last. */
struct exchange {
    struct port_tis *tis;
    uint64_t deadline;
    uint8_t status;
    uint16_t burst;
};

static uint64_t now(const struct port_tis *t)
{
    return t->clock.monotonic_ms(t->clock.context);
}

static uint64_t earlier(uint64_t deadline, uint64_t other)
{
    return deadline < other ? deadline : other;
}

static int write_byte(struct port_tis *t, uint16_t offset, uint8_t value)
{
    return t->bus.write(t->bus.context, t->locality, offset, &value, 1);
}

/* Look again a little later, unless the time was over before this look: who was interrupted after it looks again. */
static int pause_unless(const struct port_tis *t, bool late)
{
    return late ? BYTES_E_TIMEOUT : t->clock.sleep_ms(t->clock.context, PORT_TIS_POLL_MS);
}

/* ---- TPM_ACCESS: localities ---- */

/* Wait until these bits of TPM_ACCESS are as wanted. A TPM that comes out of reset may not answer at all yet. */
static int wait_access(struct port_tis *t, uint8_t bits, uint8_t wanted, uint64_t end, uint8_t *access)
{
    const uint64_t deadline = earlier(end, now(t) + PORT_TIS_TIMEOUT_A_MS);
    for (;;) {
        const bool late = now(t) >= deadline;
        const int error = t->bus.read(t->bus.context, t->locality, PORT_TIS_ACCESS, access, 1);
        if (error == 0 && *access != NOBODY && (*access & bits) == wanted) {
            return 0;
        }
        const int over = pause_unless(t, late);
        if (over != 0) {
            return error != 0 ? error : over;
        }
    }
}

/* No TPM at all, or one that has not come out of reset. */
static int wait_present(struct port_tis *t, uint8_t bits, uint64_t end, uint8_t *access)
{
    const int error = wait_access(t, bits, ACCESS_VALID, end, access);
    return error == BYTES_E_TIMEOUT ? BYTES_E_TPM_TRANSPORT : error;
}

static int wait_active(struct port_tis *t, uint64_t end)
{
    uint8_t access;
    return wait_access(t, ACCESS_VALID | ACCESS_ZERO | ACCESS_ACTIVE, ACCESS_VALID | ACCESS_ACTIVE, end,
                       &access);
}

static int request_locality(struct port_tis *t, uint64_t end)
{
    uint8_t access;
    int error = wait_present(t, ACCESS_VALID | ACCESS_ZERO, end, &access);
    if (error != 0 || (access & ACCESS_ACTIVE)) {
        return error;
    }
    if (access & ACCESS_SEIZED) {
        error = write_byte(t, PORT_TIS_ACCESS, ACCESS_SEIZED);
    }
    if (error == 0) {
        error = write_byte(t, PORT_TIS_ACCESS, ACCESS_REQUEST);
    }
    if (error == 0) {
        error = wait_active(t, end);
    }
    if (error == BYTES_E_TIMEOUT && t->may_seize && now(t) < end) {
        error = write_byte(t, PORT_TIS_ACCESS, ACCESS_SEIZE);
        if (error == 0) {
            error = wait_active(t, end);
        }
    }
    return error;
}

int port_tis_relinquish(struct port_tis *t)
{
    return write_byte(t, PORT_TIS_ACCESS, ACCESS_ACTIVE);
}

static void relinquish_if_wanted(struct port_tis *t)
{
    uint8_t access;
    if (t->bus.read(t->bus.context, t->locality, PORT_TIS_ACCESS, &access, 1) == 0 &&
        !(access & ACCESS_ZERO) && (access & ACCESS_PENDING)) {
        (void)port_tis_relinquish(t);
    }
}

/* ---- TPM_STS: states ---- */

/* One read, since two could see two burst counts. Without the locality, and without a TPM, all bits are 1. */
static int read_status(struct exchange *x)
{
    uint8_t sts[4];
    const int error = x->tis->bus.read(x->tis->bus.context, x->tis->locality, PORT_TIS_STS, sts, sizeof sts);
    x->status = sts[0];
    x->burst = (uint16_t)(sts[1] | (unsigned)sts[2] << 8);
    if (error == 0 && (x->status & STS_ZERO)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    return error;
}

/* Wait until the status has all wanted bits, and bytes can be moved if burst is set. */
static int wait_status(struct exchange *x, uint8_t wanted, bool burst, uint32_t timeout_ms)
{
    const uint64_t deadline = earlier(x->deadline, now(x->tis) + timeout_ms);
    int error = 0;
    while (error == 0) {
        const bool late = now(x->tis) >= deadline;
        error = read_status(x);
        if (error == 0 && (x->status & wanted) == wanted && (!burst || x->burst > 0)) {
            return 0;
        }
        if (error == 0) {
            error = pause_unless(x->tis, late);
        }
    }
    return error;
}

/* Back to Idle from wherever it is. What it was doing is aborted; the next exchange waits until that is done. */
static void leave(struct exchange *x)
{
    (void)write_byte(x->tis, PORT_TIS_STS, STS_COMMAND_READY);
}

/* To Ready. From an earlier exchange that broke off, the first write leads only to Idle. */
static int make_ready(struct exchange *x)
{
    int error = read_status(x);
    if (error == 0 && (x->status & (STS_DATA_AVAIL | STS_EXPECT))) {
        leave(x);
    }
    if (error == 0 && (x->status & STS_COMMAND_READY)) {
        return 0;
    }
    for (int i = 0; i < READY_WRITES && (error == 0 || error == BYTES_E_TIMEOUT); i++) {
        error = write_byte(x->tis, PORT_TIS_STS, STS_COMMAND_READY);
        if (error == 0) {
            error = wait_status(x, STS_COMMAND_READY, false, PORT_TIS_TIMEOUT_B_MS / READY_WRITES);
        }
        if (error == 0) {
            return 0;
        }
    }
    return error;
}

/* ---- TPM_DATA_FIFO: bytes ---- */

/* The FIFO's room decides how many bytes go at once. Before the last byte the TPM must still expect data, after it no
 * more: otherwise it has lost or doubled some. */
static int send_bytes(struct exchange *x, struct bytes command)
{
    const struct port_tis_bus *bus = &x->tis->bus;
    size_t sent = 0;
    while (sent < command.len) {
        const size_t left = command.len - sent;
        int error = wait_status(x, 0, true, PORT_TIS_TIMEOUT_D_MS);
        if (error != 0) {
            return error;
        }
        size_t len = left > 1 ? left - 1 : 1;
        if (len > x->burst) {
            len = x->burst;
        }
        error = bus->write(bus->context, x->tis->locality, PORT_TIS_DATA_FIFO, command.p + sent, len);
        sent += len;
        if (error == 0) {
            error = wait_status(x, STS_VALID, false, PORT_TIS_TIMEOUT_C_MS);
        }
        if (error == 0 && ((x->status & STS_EXPECT) != 0) != (sent < command.len)) {
            error = BYTES_E_TPM_TRANSPORT;
        }
        if (error != 0) {
            return error;
        }
    }
    return bus->verify != NULL ? bus->verify(bus->context, x->tis->locality, command) : 0;
}

static int receive_bytes(struct exchange *x, uint8_t *out, size_t len)
{
    const struct port_tis_bus *bus = &x->tis->bus;
    while (len > 0) {
        int error = wait_status(x, STS_VALID | STS_DATA_AVAIL, false, PORT_TIS_TIMEOUT_C_MS);
        if (error == 0 && x->burst == 0) {
            error = wait_status(x, STS_VALID | STS_DATA_AVAIL, true, PORT_TIS_TIMEOUT_D_MS);
        }
        if (error != 0) {
            return error;
        }
        const size_t part = len < x->burst ? len : x->burst;
        error = bus->read(bus->context, x->tis->locality, PORT_TIS_DATA_FIFO, out, part);
        if (error != 0) {
            return error;
        }
        out += part;
        len -= part;
    }
    return 0;
}

/* The header says how much there is; nothing may be left over then. */
static int receive_response(struct exchange *x, uint8_t *response, size_t capacity, size_t *len)
{
    bool bad;
    int error = receive_bytes(x, response, HEADER);
    if (error != 0) {
        return error;
    }
    const size_t size = tpm2_response_size(bytes_of(response, HEADER), RESPONSE_SANE_MAX, &bad);
    if (size == 0) {
        return BYTES_E_FORMAT;
    }
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    error = receive_bytes(x, response + HEADER, size - HEADER);
    if (error == 0) {
        error = wait_status(x, STS_VALID, false, PORT_TIS_TIMEOUT_C_MS);
    }
    if (error == 0 && (x->status & STS_DATA_AVAIL)) {
        error = BYTES_E_FORMAT;
    }
    if (error == 0 && x->tis->bus.verify != NULL) {
        error = x->tis->bus.verify(x->tis->bus.context, x->tis->locality, bytes_of(response, size));
    }
    *len = error == 0 ? size : 0;
    return error;
}

/* ---- The exchange ---- */

/* Before tpmGo the TPM has executed nothing, so a failed transfer can be aborted and repeated. */
static int send_command(struct exchange *x, struct bytes command)
{
    int error = 0;
    for (int i = 0; i < PORT_TIS_TRIES; i++) {
        error = make_ready(x);
        if (error == 0) {
            error = send_bytes(x, command);
        }
        if (error == 0) {
            return write_byte(x->tis, PORT_TIS_STS, STS_GO);
        }
        leave(x);
    }
    return error;
}

/* A response can be read again from its beginning until commandReady discards it. */
static int read_response(struct exchange *x, uint8_t *response, size_t capacity, size_t *len)
{
    int error = 0;
    for (int i = 0; i < PORT_TIS_TRIES; i++) {
        if (i > 0) {
            error = write_byte(x->tis, PORT_TIS_STS, STS_RESPONSE_RETRY);
        }
        if (error == 0) {
            error = receive_response(x, response, capacity, len);
        }
        if (error == 0) {
            return 0;
        }
    }
    return error;
}

static int transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms)
{
    struct exchange x = {.tis = context};
    x.deadline = now(x.tis) + timeout_ms;
    *response_len = 0;
    if (command.len < HEADER) {
        return BYTES_E_USAGE;
    }
    if (capacity < HEADER) {
        return BYTES_E_SPACE;
    }
    int error = request_locality(x.tis, x.deadline);
    if (error != 0) {
        return error;
    }
    error = send_command(&x, command);
    if (error == 0) {
        error = wait_status(&x, STS_VALID | STS_DATA_AVAIL, false, timeout_ms);
        if (error == 0) {
            error = read_response(&x, response, capacity, response_len);
        }
        leave(&x);
    }
    relinquish_if_wanted(x.tis);
    return error;
}

struct port_tpm port_tis_tpm(struct port_tis *t)
{
    return (struct port_tpm){.context = t, .transact = transact};
}

int port_tis_open(struct port_tis *t)
{
    uint8_t access, id[4] = {0};
    t->vendor = 0;
    t->device = 0;
    if (t->locality > 4) {
        return BYTES_E_USAGE;
    }
    /* The other interface has this bit, too, and the rest of the register is another one: what it is comes first. */
    int error = wait_present(t, ACCESS_VALID, UINT64_MAX, &access);
    if (error == 0) {
        error = t->bus.read(t->bus.context, t->locality, PORT_TIS_INTERFACE_ID, id, sizeof id);
    }
    const uint8_t type = id[0] & INTERFACE_TYPE;
    if (error == 0 && type != INTERFACE_FIFO && type != INTERFACE_FIFO_I2C && type != INTERFACE_FIFO_TIS) {
        return BYTES_E_NOT_PROVIDED;
    }
    if (error == 0) {
        error = wait_present(t, ACCESS_VALID | ACCESS_ZERO, UINT64_MAX, &access);
    }
    /* Only this interface has its vendor here. */
    if (error == 0) {
        error = t->bus.read(t->bus.context, t->locality, PORT_TIS_DID_VID, id, sizeof id);
    }
    if (error != 0) {
        return error;
    }
    t->vendor = (uint16_t)(id[0] | (unsigned)id[1] << 8);
    t->device = (uint16_t)(id[2] | (unsigned)id[3] << 8);
    return t->vendor == 0 || t->vendor == 0xFFFF ? BYTES_E_TPM_TRANSPORT : 0;
}
