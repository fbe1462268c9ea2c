/* SPDX-License-Identifier: MIT */
/* The order in which port/PORTING.md fills port_none, and what each step shows. The TPM is a real one. What also needs
 * a network is tested by tests/e2e/example_test.py. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "port/bare/bare.h"
#include "port/drive.h"
#include "port/none/none.h"
#include "port/posix/posix.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

static const struct dps_device_config config = {
    .service_host = "localhost", .service_port = 443, .hub_port = 443, .id_scope = "0ne00000A0A"};
static const uint8_t nonce[32];
static struct posix_tpm tpm;
static struct port_drive drive;
static struct dps_device d;
static struct crypto_trust trust;

/* Runs what has begun; port's functions as far as they are there. */
static int run(struct port *port, int begun)
{
    return begun != 0 ? begun : port_drive(&drive, port, &trust, &d);
}

static int nothing(void)
{
    struct port port = port_none();
    CHECK_EQUAL(run(&port, dps_device_read_ek(&d, &config, nonce)), BYTES_E_NOT_PROVIDED);
    CHECK(dps_device_step(&d) == 1 && d.tpm_commands == 0 && d.ek_len == 0);
    return 0;
}

/* A clock alone changes nothing yet; but without it a TPM that does not answer would be waited for for ever. */
static uint64_t ticks_ms;
static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return ticks_ms += 100;
}

static bool line_put(void *context, uint8_t byte)
{
    (void)context, (void)byte;
    return true;
}

static bool line_get(void *context, uint8_t *byte)
{
    (void)context, (void)byte;
    return false;
}

static int clock_then_line(void)
{
    struct port port = port_none();
    port.clock.monotonic_ms = monotonic_ms;
    CHECK_EQUAL(run(&port, dps_device_read_ek(&d, &config, nonce)), BYTES_E_NOT_PROVIDED);
    CHECK_EQUAL(dps_device_step(&d), 1);
    struct port_bare_tpm line = {{NULL, line_put, line_get}, &port.clock};
    port.tpm = port_bare_tpm(&line);
    CHECK_EQUAL(run(&port, dps_device_read_ek(&d, &config, nonce)), BYTES_E_TIMEOUT);
    CHECK_EQUAL(dps_device_step(&d), 1);
    return 0;
}

static int tpm_answers(void)
{
    struct port port = port_none();
    port.clock = posix_clock();
    port.tpm = posix_tpm_port(&tpm);
    CHECK_EQUAL(run(&port, dps_device_read_ek(&d, &config, nonce)), 0);
    CHECK(d.ek_len == 316 && strlen(d.registration_id) == 52);
    CHECK_EQUAL(run(&port, dps_device_read_keys(&d, &config, nonce)), 0);
    CHECK_EQUAL(d.srk_len, 284);
    return 0;
}

static int network(void)
{
    struct port port = port_none();
    port.tpm = posix_tpm_port(&tpm);
    port.clock = posix_clock();
    /* Entropy is asked before the network is. */
    CHECK_EQUAL(run(&port, dps_device_register(&d, &config, nonce)), BYTES_E_NOT_PROVIDED);
    CHECK_EQUAL(dps_device_step(&d), 4);
    port.entropy = posix_entropy();
    CHECK_EQUAL(run(&port, dps_device_register(&d, &config, nonce)), BYTES_E_NOT_PROVIDED);
    CHECK(dps_device_step(&d) == 4 && d.connections == 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"port_none: not provided, at the first step", nothing},
        {"a clock, then a line on which no TPM answers: the time is over", clock_then_line},
        {"a TPM: EK, registration ID and SRK", tpm_answers},
        {"no entropy, then no network: not provided, at step 4", network},
    };
    char name[512], why[256];
    snprintf(name, sizeof name, "libtpms:%s", support_path("tpm"));
    if (posix_tpm_open(&tpm, name, why, sizeof why) != 0) {
        printf("Bail out! %s\n", why);
        return 1;
    }
    const int status = test_run(tests, sizeof tests / sizeof tests[0]);
    posix_tpm_close(&tpm);
    return status;
}
