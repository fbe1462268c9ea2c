/* SPDX-License-Identifier: MIT */
/* port/tis/crb.c against QEMU's tpm-crb: it looks for the TPM and gives it commands, short and long, some that fail,
 * one that is cancelled. Prints the public area of the EK, which crb_test.py compares, and what went wrong. */
#include "port/tis/crb.h"
#include "port/bare/bare.h"
#include "port/tis/tis_mmio.h"
#include "tpm/command.h"
#include "tpm/tpm2.h"

#define COM1 0x3f8
#define COM1_STATUS 0x3fd
#define COM1_ROOM 0x20
#define HPET(offset) (*(volatile uint32_t *)(0xfed00000 + (offset)))
#define HPET_TICKS_PER_MS 100000

void crb_port_write(uint32_t port, uint32_t value);
uint32_t crb_port_read(uint32_t port);
int crb_main(void);

static bool put(void *context, uint8_t byte)
{
    (void)context;
    if ((crb_port_read(COM1_STATUS) & COM1_ROOM) == 0) {
        return false;
    }
    crb_port_write(COM1, byte);
    return true;
}
static const struct port_bare_uart console = {.put = put};

static uint64_t monotonic_ms(void *context)
{
    uint32_t high, low;
    (void)context;
    do {
        high = HPET(0xf4);
        low = HPET(0xf0);
    } while (HPET(0xf4) != high);
    return ((uint64_t)high << 32 | low) / HPET_TICKS_PER_MS;
}

static int sleep_ms(void *context, uint32_t ms)
{
    const uint64_t begin = monotonic_ms(context);
    while (monotonic_ms(context) - begin < ms) {
    }
    return 0;
}

static struct port_tis_mmio registers;
static struct port_crb crb;
static struct port port;
static uint8_t command[1024], response[1024];

/* Says what it is, and whether the result is what it should be. */
static int expect(const char *what, int got, int wanted)
{
    port_bare_text(&console, got == wanted ? "right: " : "WRONG: ");
    port_bare_text(&console, what);
    port_bare_text(&console, ": error -");
    port_bare_number(&console, (uint64_t)-got);
    port_bare_text(&console, "\n");
    return got == wanted ? 0 : 1;
}

static int ask(struct bytes_writer *w, size_t capacity, uint32_t timeout_ms, size_t *len)
{
    return port.tpm.transact(port.tpm.context, bytes_written(w), response, capacity, len, timeout_ms);
}

static int random_bytes(size_t capacity, uint32_t timeout_ms)
{
    struct bytes random;
    uint32_t rc;
    size_t len;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_get_random_build(&w, 32);
    const int error = ask(&w, capacity, timeout_ms, &len);
    return error != 0 ? error : tpm2_get_random_parse(bytes_of(response, len), &rc, &random);
}

static int create_ek(uint32_t timeout_ms, bool print)
{
    size_t len;
    uint32_t rc, object;
    struct bytes public_2b, name;
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_public area = tpm2_template_ek_l1();
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_create_primary_build(&w, TPM2_RH_ENDORSEMENT, &auth, &area);
    int error = ask(&w, sizeof response, timeout_ms, &len);
    if (error == 0) {
        error = tpm2_create_primary_parse(bytes_of(response, len), &rc, &object, &public_2b, &name);
    }
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; print && i + 4 <= public_2b.len; i += 4) {
        port_bare_hex(&console, (uint32_t)public_2b.p[i] << 24 | (uint32_t)public_2b.p[i + 1] << 16 |
                                    (uint32_t)public_2b.p[i + 2] << 8 | public_2b.p[i + 3]);
        port_bare_text(&console, "\n");
    }
    w = bytes_writer_over(command, sizeof command);
    tpm2_flush_context_build(&w, object);
    error = ask(&w, sizeof response, timeout_ms, &len);
    return error != 0 ? error : tpm2_flush_context_parse(bytes_of(response, len), &rc);
}

int crb_main(void)
{
    uint32_t rc = 0;
    int wrong = 0;
    HPET(0x10) = 1;
    registers.base = (volatile uint8_t *)0xfed40000;
    crb = (struct port_crb){.bus = port_tis_mmio_bus(&registers),
                            .clock = {.monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms},
                            .address = PORT_CRB_ADDRESS_PC};
    port.clock = crb.clock;
    port.tpm = port_crb_tpm(&crb);
    struct port_tis tis = {.bus = crb.bus, .clock = crb.clock};
    wrong += expect("the FIFO interface is not there", port_tis_open(&tis), BYTES_E_NOT_PROVIDED);
    wrong += expect("looking for it", port_crb_open(&crb), 0);
    wrong += expect("startup", port_bare_tpm_startup(&port, &rc), 0);
    wrong += expect("random bytes", random_bytes(sizeof response, 5000), 0);
    wrong += expect("the EK", create_ek(120000, true), 0);
    wrong += expect("a response without room", random_bytes(20, 5000), BYTES_E_SPACE);
    wrong += expect("the next command", random_bytes(sizeof response, 5000), 0);
    wrong += expect("no time for the EK", create_ek(1, false), BYTES_E_TIMEOUT);
    wrong += expect("the next command", random_bytes(sizeof response, 60000), 0);
    wrong += expect("giving it up", port_crb_relinquish(&crb), 0);
    wrong += expect("the next command", random_bytes(sizeof response, 5000), 0);
    port_bare_text(&console, "Done.\n");
    return wrong;
}
