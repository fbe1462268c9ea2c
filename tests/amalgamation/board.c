/* SPDX-License-Identifier: MIT */
/* The callbacks of the example in tpm-dps.h, with those of port/example. */
#include "dps/device/device.h"
#include "port/example/example.h"
#include <stdio.h>
#include <stdlib.h>

extern struct dps_device device;
int device_boot(const struct dps_device_config *config, const char *ca);

static struct example example = {.tpm = -1, .stream = -1};
static struct port port;

int my_transact(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *response_len,
                uint32_t timeout_ms)
{
    (void)context;
    return port.tpm.transact(port.tpm.context, command, response, capacity, response_len, timeout_ms);
}

int my_connect(void *context, const char *host, uint16_t number, uint32_t timeout_ms)
{
    (void)context;
    return port.stream.connect(port.stream.context, host, number, timeout_ms);
}

int my_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    (void)context;
    return port.stream.read(port.stream.context, out, capacity, timeout_ms);
}

int my_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    (void)context;
    return port.stream.write(port.stream.context, bytes, len, timeout_ms);
}

void my_close(void *context)
{
    (void)context;
    port.stream.close(port.stream.context);
}

uint64_t my_unix_seconds(void *context)
{
    (void)context;
    return port.clock.unix_seconds(port.clock.context);
}

uint64_t my_monotonic_ms(void *context)
{
    (void)context;
    return port.clock.monotonic_ms(port.clock.context);
}

int my_sleep_ms(void *context, uint32_t ms)
{
    (void)context;
    return port.clock.sleep_ms(port.clock.context, ms);
}

int my_load(void *context, uint8_t *record, size_t capacity, size_t *len)
{
    (void)context;
    return port.storage.load(port.storage.context, record, capacity, len);
}

int my_save(void *context, struct bytes record)
{
    (void)context;
    return port.storage.save(port.storage.context, record);
}

int my_random(void *context, uint8_t *out, size_t len)
{
    (void)context;
    return port.entropy.fill(port.entropy.context, out, len);
}

/* HOST PORT CA-FILE ID-SCOPE REGISTRATION-ID TPM-PORT RECORD-FILE */
int main(int argc, char **argv)
{
    static char ca[65536];
    FILE *f = argc == 8 ? fopen(argv[3], "rb") : NULL;
    if (f == NULL) {
        return 2;
    }
    ca[fread(ca, 1, sizeof ca - 1, f)] = '\0';
    (void)fclose(f);
    const struct dps_device_config config = {.service_host = argv[1],
                                             .service_port = (uint16_t)strtoul(argv[2], NULL, 10),
                                             .hub_port = 443,
                                             .id_scope = argv[4],
                                             .registration_id = argv[5]};
    example.tpm_port = (uint16_t)strtoul(argv[6], NULL, 10);
    example.record = argv[7];
    port = example_port(&example);
    const int error = device_boot(&config, ca);
    printf("%d %s %s\n", error, device.assigned_hub, device.device_id);
    return error == 0 ? 0 : 1;
}
