/* SPDX-License-Identifier: MIT */
/* A device on the smallest port. The first run registers and keeps the record; every further run makes a hub token with
 * it. That is all that firmware does at boot, apart from what it then sends to the hub. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/record.h"
#include "port/drive.h"
#include "port/example/loop.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_REFUSED = 1, EXIT_USAGE, EXIT_TPM, EXIT_NETWORK, EXIT_RECORD };

static struct example example = {.tpm = -1, .stream = -1};
static struct crypto_trust trust;
static struct dps_device device;
/* One of the two is used. */
static struct port_drive drive;
static struct example_turn turn;

/* That a signal came is enough: waiting ends, and the run with it, after the TPM's sessions and objects are
 * flushed. On a board a reset ends the run and flushes them. */
static void on_signal(int number)
{
    (void)number;
}

static int load_trust(const char *path)
{
    static uint8_t pem[512 * 1024]; /* a system's bundle has 220 KB */
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return BYTES_E_FILE;
    }
    const size_t len = fread(pem, 1, sizeof pem, f);
    (void)fclose(f);
    return crypto_trust_load(&trust, bytes_of(pem, len));
}

static int run(struct port *port, bool loop)
{
    if (!loop) {
        const int error = port_drive(&drive, port, &trust, &device);
        bytes_wipe(drive.io, sizeof drive.io);
        return error;
    }
    turn = (struct example_turn){.port = port, .trust = &trust, .device = &device};
    return example_loop(&example, &turn);
}

static int boot(struct port *port, const struct dps_device_config *config, bool loop)
{
    static uint8_t record[DPS_RECORD_FILE_MAX];
    uint8_t seed[32];
    size_t len;
    int error = port->entropy.fill(port->entropy.context, seed, sizeof seed);
    if (error != 0) {
        return error;
    }
    error = port->storage.load(port->storage.context, record, sizeof record, &len);
    if (error == BYTES_E_NOT_FOUND) {
        puts("registers");
        error = dps_device_register(&device, config, seed);
    } else if (error == 0) {
        puts("is registered");
        error = dps_device_token(&device, config, seed, bytes_of(record, len));
    }
    bytes_wipe(seed, sizeof seed);
    return error == 0 ? run(port, loop) : error;
}

static int report(int error)
{
    if (error == 0) {
        const struct bytes token = dps_device_token_text(&device);
        printf("hub %s\ndevice %s\n%.*s\n", device.assigned_hub, device.device_id, (int)token.len,
               (const char *)token.p);
        return 0;
    }
    fprintf(stderr, "dps-example: step %u, %s: error %d, TPM 0x%x, HTTP %u, TLS %d: %s\n",
            dps_device_step(&device), dps_device_what(&device), error, (unsigned)device.rc,
            (unsigned)device.http_status, drive.tls_error != 0 ? drive.tls_error : turn.tls_error,
            device.message);
    switch (error) {
    case BYTES_E_TPM_RC:
    case BYTES_E_TPM_TRANSPORT:
        return EXIT_TPM;
    case BYTES_E_HTTP:
    case BYTES_E_REFUSED:
        return EXIT_REFUSED;
    case BYTES_E_USAGE:
        return EXIT_USAGE;
    case BYTES_E_FILE:
    case BYTES_E_STATE:
        return EXIT_RECORD;
    default:
        return dps_device_asks_network(&device) ? EXIT_NETWORK : EXIT_TPM;
    }
}

int main(int argc, char **argv)
{
    const bool loop = argc > 1 && strcmp(argv[1], "--loop") == 0;
    char **arg = argv + (loop ? 1 : 0);
    if (argc - (loop ? 1 : 0) != 8) {
        fputs("Usage: dps-example [--loop] HOST PORT CA-FILE ID-SCOPE REGISTRATION-ID TPM-PORT RECORD-FILE\n"
              "CA-FILE: PEM. TPM-PORT: where a swtpm listens on 127.0.0.1. --loop: in an event loop, without "
              "port_drive.\n",
              stderr);
        return EXIT_USAGE;
    }
    const struct dps_device_config config = {.service_host = arg[1],
                                             .service_port = (uint16_t)strtoul(arg[2], NULL, 10),
                                             .hub_port = 443,
                                             .id_scope = arg[4],
                                             .registration_id = arg[5]};
    example.tpm_port = (uint16_t)strtoul(arg[6], NULL, 10);
    example.record = arg[7];
    struct port port = example_port(&example);
    if (load_trust(arg[3]) != 0) {
        fprintf(stderr,
                "dps-example: %s holds no certificate in PEM that can be used; `openssl x509 -inform "
                "DER` makes it of DER\n",
                arg[3]);
        return EXIT_USAGE;
    }
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    const int status = report(boot(&port, &config, loop));
    dps_device_wipe(&device);
    return status;
}
