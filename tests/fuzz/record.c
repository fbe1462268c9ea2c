/* SPDX-License-Identifier: MIT */
/* Runs of the device engine with a real TPM (libtpms) and the real service, written as inputs of fuzz_device: one file
 * a flow into the directory named. Keys and nonces differ from run to run. */
#include "dps/device/record.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "tests/fuzz/fuzz_device.h"
#include "tests/port/flow.h"
#include <stdio.h>
#include <string.h>

static struct flow flow;
static uint8_t bytes[65536];
static struct bytes_writer out;

static void keep_response(struct flow *f, uint8_t *response, size_t *len)
{
    (void)f;
    bytes_write_2b(&out, bytes_of(response, *len));
}

static void keep_answer(struct flow *f)
{
    bytes_write_2b(&out, bytes_of(f->response, f->response_len));
}

static void begin(enum device_flow which, uint8_t flags)
{
    out = bytes_writer_over(bytes, sizeof bytes);
    bytes_write_u8(&out, (uint8_t)which);
    bytes_write_u8(&out, flags);
    flow.change_response = keep_response;
    flow.change_answer = keep_answer;
}

/* Drive to the end and write the file. Returns 0 or 1. */
static int end(int begun, const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    const int error = begun != 0 ? begun : flow_finish(&flow);
    FILE *file = error == 0 && out.error == 0 ? fopen(path, "wb") : NULL;
    if (file == NULL || fwrite(out.p, 1, out.len, file) != out.len || fclose(file) != 0) {
        fprintf(stderr, "%s: cannot be written (error %d)\n", path, error);
        return 1;
    }
    return 0;
}

/* What DPS_WANT_SAVE gave, without its digest, which the harness adds. */
static struct bytes record_content(void)
{
    return bytes_of(flow.record, flow.record_len - CRYPTO_SHA256_SIZE);
}

int main(int argc, char **argv)
{
    static uint8_t sealed[DPS_NET_BUFFER];
    if (argc != 2 || flow_open(&flow, "record", false) != 0) {
        fprintf(stderr, "Usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    struct dps_device *d = &flow.device;
    const struct dps_device_config *c = &flow.config;
    int failed = 0;
    begin(DEVICE_REGISTER, 0);
    failed |= end(dps_device_register(d, c, flow_nonce), argv[1], "register");
    const struct bytes record = bytes_of(flow.record, flow.record_len);
    begin(DEVICE_TOKEN, 0);
    bytes_write_2b(&out, record_content());
    failed |= end(dps_device_token(d, c, flow_nonce, record), argv[1], "token");
    begin(DEVICE_SEND, DEVICE_NO_CLOCK);
    bytes_write_2b(&out, record_content());
    flow.config.data = bytes_of_text("{}");
    failed |= end(dps_device_send(d, c, flow_nonce, record), argv[1], "send");
    begin(DEVICE_READ_KEYS, 0);
    failed |= end(dps_device_read_keys(d, c, flow_nonce), argv[1], "read_keys");
    begin(DEVICE_SEAL, 0);
    failed |= end(dps_device_seal(d, c, flow_nonce), argv[1], "seal");
    const struct bytes result = dps_device_result(d);
    memcpy(sealed, result.p, result.len);
    flow.config.data = bytes_of(sealed, result.len);
    begin(DEVICE_UNSEAL, DEVICE_DATA);
    bytes_write_2b(&out, flow.config.data);
    failed |= end(dps_device_unseal(d, c, flow_nonce), argv[1], "unseal");
    flow.config.persist = true;
    begin(DEVICE_OWN, DEVICE_PERSIST);
    failed |= end(dps_device_own(d, c, flow_nonce), argv[1], "own");
    begin(DEVICE_REGISTER, DEVICE_PERSIST | DEVICE_SPLIT);
    failed |= end(dps_device_register(d, c, flow_nonce), argv[1], "register_again");
    begin(DEVICE_CLEAR, 0);
    failed |= end(dps_device_clear(d, c, flow_nonce), argv[1], "clear");
    flow_close(&flow);
    return failed;
}
