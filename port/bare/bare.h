/* SPDX-License-Identifier: MIT */
/* What boards without an operating system share: everything of a device that is neither protocol nor hardware. A board
 * supplies the hardware as struct port_bare_board and calls port_bare_run; port/lm3s6965evb is the one to read next.
 *
 * No heap, no interrupts needed, all memory is the caller's. Structures named "context" of an interface are kept by
 * reference and must outlive it. */
#ifndef PORT_BARE_BARE_H
#define PORT_BARE_BARE_H

#include "port/drive.h"

/* ---- Serial lines ------------------------------------------------------------------------------------------------ */

/* A serial line, polled. Neither function waits. */
struct port_bare_uart {
    void *context;
    bool (*put)(void *context, uint8_t byte);  /* false: no room yet */
    bool (*get)(void *context, uint8_t *byte); /* false: nothing has arrived */
};

/* Send all bytes, or receive exactly len bytes, until the moment `end` of the clock's monotonic_ms: a peer that moves
 * hardly anything cannot stall the device.
 * Returns: 0; BYTES_E_TIMEOUT. */
int port_bare_send(const struct port_bare_uart *uart, const struct port_clock *clock, struct bytes bytes,
                   uint64_t end);
int port_bare_receive(const struct port_bare_uart *uart, const struct port_clock *clock, uint8_t *out,
                      size_t len, uint64_t end);
/* The moment timeout_ms from now, or `latest` if that is earlier. */
uint64_t port_bare_moment(const struct port_clock *clock, uint32_t timeout_ms, uint64_t latest);
/* Throw away what has arrived so far: the rest of an answer that came too late. At most 64 KiB: a line that never
 * falls silent cannot stall the device either. */
void port_bare_drain(const struct port_bare_uart *uart);

/* One message on a line, once it has begun: ten times what 1 KiB takes at 9600 baud. So much longer than its time limit
 * may a modem take, too. */
#ifndef PORT_BARE_MESSAGE_TIMEOUT_MS
#define PORT_BARE_MESSAGE_TIMEOUT_MS 10000
#endif

/* ---- Text for people --------------------------------------------------------------------------------------------- */

/* These wait for the line, but only while it moves: a console that is not read costs no more than 100 000 attempts. */
void port_bare_text(const struct port_bare_uart *console, const char *text);
void port_bare_bytes(const struct port_bare_uart *console, struct bytes text); /* anything but ASCII as '?' */
void port_bare_number(const struct port_bare_uart *console, uint64_t number);
void port_bare_hex(const struct port_bare_uart *console, uint32_t number); /* 0x and eight digits */

/* ---- The TPM behind a serial line -------------------------------------------------------------------------------- */

/* TPM messages as they are, one command, then one response: both carry their length. The other end collects the whole
 * command before it hands it to the TPM. After a time-out the line is drained before the next command. */
struct port_bare_tpm {
    struct port_bare_uart uart;
    const struct port_clock *clock;
};
struct port_tpm port_bare_tpm(struct port_bare_tpm *context);

/* TPM2_Startup, which nobody else sends on a board. A TPM that has been started already is fine.
 * Returns: 0; BYTES_E_TPM_RC and *rc; the transport's error. */
int port_bare_tpm_startup(struct port *port, uint32_t *rc);

/* ---- A modem: one connection at a time behind a serial line ------------------------------------------------------ */

/* The device asks, the modem answers, never the other way round: so nothing arrives that the device does not wait for,
 * and it needs no receive buffer of its own. Numbers are big-endian.
 *
 *   question   0x7E  sequence(1)  operation(1)  size(2)  payload
 *   answer     0x7E  sequence(1)  status(1)     size(2)  payload
 *
 *   operation  'C' connect  payload: timeout_ms(4), port(2), host name      answer: empty
 *              'W' write    payload: the bytes, at most 1024                answer: empty; all are taken or none
 *              'R' read     payload: timeout_ms(4), at most how many (2)    answer: the bytes; none: nothing yet
 *              'X' close    payload: none                                   answer: empty
 *   status     0 done   1 no connection (refused, reset, closed by the peer)   2 timed out   3 not understood
 *
 * An answer repeats the sequence number of its question; the device skips answers to earlier questions. A modem drops
 * a question that stops half-way for a second, and closes its connection when the device opens a new one. */
enum { PORT_BARE_MODEM_MARK = 0x7e, PORT_BARE_MODEM_MAX = 1024 };

struct port_bare_modem {
    struct port_bare_uart uart;
    const struct port_clock *clock;
    uint8_t sequence;
};
/* The other end of the line is reset by connecting: nothing has to be asked before. */
struct port_stream port_bare_modem(struct port_bare_modem *context);

/* ---- Randomness from the TPM ------------------------------------------------------------------------------------- */

/* An HMAC-DRBG that takes 32 bytes of TPM2_GetRandom before each use, and whatever else the board knows about itself.
 * */
struct port_bare_entropy {
    struct port *port; /* its TPM and clock are used */
    struct crypto_drbg drbg;
};
/* Begin, with bytes that differ from board to board and boot to boot (serial number, cycle counter, noise): they need
 * not be secret and are no substitute for the TPM's.
 * Afterwards fill returns: 0; BYTES_E_ENTROPY if the TPM gave none. */
struct crypto_entropy port_bare_entropy(struct port_bare_entropy *context, struct port *port,
                                        struct bytes personality);

/* ---- The record in flash ----------------------------------------------------------------------------------------- */

/* Two slots of flash that are written alternately. A slot holds a sequence number, a length, the record and a CRC over
 * these; the valid one with the higher number counts. So a write that is cut off leaves the older slot as it was. */
#define PORT_BARE_SLOT_SIZE 1024
struct port_bare_flash {
    void *context;
    /* Read a whole slot (0 or 1) or replace it, erasing it first where the flash needs that. Only these two may be
     * half done after a power cut. Returns: 0; BYTES_E_FILE. */
    int (*read)(void *context, unsigned slot, uint8_t bytes[PORT_BARE_SLOT_SIZE]);
    int (*write)(void *context, unsigned slot, const uint8_t bytes[PORT_BARE_SLOT_SIZE]);
};
/* NOR flash in memory, two 16-bit chips side by side with Intel's commands (CFI). The first two sectors are the
 * slots. */
struct port_bare_cfi {
    volatile uint32_t *words;
    size_t sector_words; /* in one sector */
    const struct port_clock *clock;
};
struct port_bare_flash port_bare_cfi(struct port_bare_cfi *cfi);

struct port_bare_storage {
    const struct port_bare_flash *flash;
    uint8_t bytes[PORT_BARE_SLOT_SIZE];
};
/* port_storage over it; save reads back what it wrote. load returns BYTES_E_NOT_FOUND if neither slot is valid. */
struct port_storage port_bare_storage(struct port_bare_storage *context);

/* ---- Stack ------------------------------------------------------------------------------------------------------- */

/* Start-up code fills the unused stack with this byte. Returns how much of [bottom, top) was ever used. */
#define PORT_BARE_STACK_FILL 0xa5
size_t port_bare_stack_used(const uint8_t *bottom, const uint8_t *top);

/* ---- The device -------------------------------------------------------------------------------------------------- */

struct port_bare_run;

/* A board: its hardware, and what it was built for. */
struct port_bare_board {
    const char *name; /* for the first line of the console */
    struct port_bare_uart console;
    struct port_tpm tpm;
    struct port_stream stream;
    struct port_clock clock; /* unix_seconds may answer 0: no clock */
    struct port_storage storage;
    struct bytes personality;        /* see port_bare_entropy */
    struct dps_device_config config; /* data: the telemetry message */
    struct bytes trust_pem;          /* the certificates by which the service and the hub are trusted */
    int (*send)(struct port_bare_run *run); /* null: over HTTPS; or port_bare_send_mqtt */
    const uint8_t *stack_bottom, *stack_top;
};
/* Send config.data over MQTT. A board without a clock still asks its hub for the time over HTTPS, once in a boot. */
int port_bare_send_mqtt(struct port_bare_run *run);

/* How many attempts there are in all if the reason lies outside the device (network, busy service, slow TPM): the next
 * one after 1, 2, 4, ... seconds, at most 64, with jitter. */
#ifndef PORT_BARE_ATTEMPTS
#define PORT_BARE_ATTEMPTS 8
#endif

/* Working memory of port_bare_run; most of it is drive.io. */
struct port_bare_run {
    const struct port_bare_board *board;
    struct port port;
    struct port_bare_entropy entropy;
    struct crypto_trust trust;
    struct dps_device device;
    struct port_drive drive;
    uint64_t date, date_ms; /* the last Date header, and when that was on the board's clock */
    bool registered;        /* in this boot */
    uint8_t connack;        /* BYTES_E_REFUSED by the hub over MQTT: its code; 0: by the service */
    const char *doing;      /* what is asked of the hub over MQTT; null: the engine is at work */
    unsigned tpm_commands, http_requests, connections;
    uint64_t tpm_ms;
};

/* Exit statuses: those of the programs, and one for what the processor refuses. */
enum port_bare_status {
    PORT_BARE_DONE = 0,
    PORT_BARE_REFUSED = 1, /* by the other side */
    PORT_BARE_USAGE = 2,   /* wrongly configured */
    PORT_BARE_TPM = 3,
    PORT_BARE_NETWORK = 4, /* or TLS */
    PORT_BARE_STORAGE = 5,
    PORT_BARE_FAULT = 70
};

/* One boot: with a record, a hub token and a telemetry message (step 10); without one, or if the TPM or the hub does
 * not know that key any more, the registration (steps 1 to 9) before it. Tells on the console what it does and why it
 * fails. Returns: enum port_bare_status. What to do then is the board's choice: usually wait a while and reset. */
int port_bare_run(struct port_bare_run *run, const struct port_bare_board *board);

#endif
