/* SPDX-License-Identifier: MIT */
#include "tests/port/tis_case.h"
#include "dps/device/limits.h"
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/tpm2.h"
#include <stdio.h>
#include <string.h>

/* The algorithms: an answer that does not change. */
static struct bytes question(uint8_t command[32])
{
    struct bytes_writer w = bytes_writer_over(command, 32);
    tpm2_get_capability_build(&w, TPM2_CAP_ALGS, 0, 64);
    return bytes_written(&w);
}

void tis_case_reset(struct tis_case *t, enum tis_case_bus bus)
{
    tis_chip_init(&t->chip, posix_tpm_port(&t->real));
    tis_wire_spi_init(&t->spi_wire, &t->chip, &t->spi);
    tis_wire_i2c_init(&t->i2c_wire, &t->chip, &t->i2c);
    t->tis = (struct port_tis){.clock = tis_chip_clock(&t->chip)};
    t->tis.bus = bus == TIS_CASE_SPI   ? port_tis_spi_bus(&t->spi)
                 : bus == TIS_CASE_I2C ? port_tis_i2c_bus(&t->i2c)
                                       : tis_wire_none(&t->chip);
    t->tpm = port_tis_tpm(&t->tis);
}

int tis_case_find(struct tis_case *t)
{
    int error = t->tis.bus.context == &t->i2c ? port_tis_i2c_open(&t->i2c) : 0;
    return error != 0 ? error : port_tis_open(&t->tis);
}

int tis_case_open(struct tis_case *t, enum tis_case_bus bus)
{
    static unsigned number;
    char directory[32], name[300];
    uint8_t command[32];
    snprintf(directory, sizeof directory, "tis-%u", number++);
    snprintf(name, sizeof name, "libtpms:%s", support_path(directory));
    CHECK_EQUAL(tpm_call_open(&t->real, name), 0);
    struct port_tpm real = posix_tpm_port(&t->real);
    CHECK_EQUAL(real.transact(real.context, question(command), t->expected, sizeof t->expected,
                              &t->expected_len, TPM_CALL_TIMEOUT_MS),
                0);
    CHECK(t->expected_len > 100);
    tis_case_reset(t, bus);
    CHECK_EQUAL(tis_case_find(t), 0);
    return 0;
}

void tis_case_close(struct tis_case *t)
{
    posix_tpm_close(&t->real);
}

int tis_case_ask_within(struct tis_case *t, uint32_t timeout_ms, size_t capacity)
{
    uint8_t command[32], response[600];
    size_t len = 1;
    memset(response, 0xA5, sizeof response);
    int error = t->tpm.transact(t->tpm.context, question(command), response, capacity, &len, timeout_ms);
    for (size_t i = capacity; i < sizeof response; i++) {
        if (response[i] != 0xA5) {
            return BYTES_E_SPACE - 100; /* no error of the project: written beyond the capacity */
        }
    }
    if (error != 0) {
        return len == 0 ? error : BYTES_E_USAGE;
    }
    return bytes_equal_public(bytes_of(response, len), bytes_of(t->expected, t->expected_len))
               ? 0
               : BYTES_E_INTEGRITY;
}

int tis_case_ask(struct tis_case *t)
{
    return tis_case_ask_within(t, TIS_CASE_TIMEOUT_MS, sizeof t->expected);
}

int tis_case_create_ek(struct tis_case *t)
{
    uint8_t command[DPS_TPM_BUFFER], response[DPS_TPM_BUFFER];
    size_t len;
    uint32_t rc, object;
    struct bytes public_2b, name;
    struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct tpm2_public area = tpm2_template_ek_l1();
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_create_primary_build(&w, TPM2_RH_ENDORSEMENT, &auth, &area);
    int error = t->tpm.transact(t->tpm.context, bytes_written(&w), response, sizeof response, &len,
                                TIS_CASE_TIMEOUT_MS);
    if (error == 0) {
        error = tpm2_create_primary_parse(bytes_of(response, len), &rc, &object, &public_2b, &name);
    }
    if (error != 0) {
        return error;
    }
    w = bytes_writer_over(command, sizeof command);
    tpm2_flush_context_build(&w, object);
    error = t->tpm.transact(t->tpm.context, bytes_written(&w), response, sizeof response, &len,
                            TIS_CASE_TIMEOUT_MS);
    return error != 0 ? error : tpm2_flush_context_parse(bytes_of(response, len), &rc);
}

int tis_case_interrupted_sleep(void *context, uint32_t ms)
{
    (void)context, (void)ms;
    return BYTES_E_TIMEOUT;
}
