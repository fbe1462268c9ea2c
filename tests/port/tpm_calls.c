/* SPDX-License-Identifier: MIT */
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

char tpm_call_why[512];

int tpm_call_open(struct posix_tpm *t, const char *name)
{
    tpm_call_why[0] = 0;
    return posix_tpm_open(t, name, tpm_call_why, sizeof tpm_call_why);
}

static struct bytes get_random(uint8_t command[16])
{
    struct bytes_writer w = bytes_writer_over(command, 16);
    tpm2_get_random_build(&w, 8);
    return bytes_written(&w);
}

int tpm_call_random_within(struct posix_tpm *t, uint32_t timeout_ms, size_t capacity)
{
    uint8_t command[16], response[64];
    size_t len;
    uint32_t rc;
    struct bytes random;
    struct port_tpm p = posix_tpm_port(t);
    int error = p.transact(p.context, get_random(command), response, capacity, &len, timeout_ms);
    if (error != 0) {
        return len == 0 ? error : BYTES_E_USAGE; /* no length beside an error */
    }
    error = tpm2_get_random_parse(bytes_of(response, len), &rc, &random);
    return error == 0 && random.len != 8 ? BYTES_E_FORMAT : error;
}

int tpm_call_random(struct posix_tpm *t)
{
    return tpm_call_random_within(t, TPM_CALL_TIMEOUT_MS, 64);
}

const char *tpm_call_name(const char *kind, uint16_t port)
{
    static char name[64];
    snprintf(name, sizeof name, "%s:127.0.0.1:%u", kind, (unsigned)port);
    return name;
}

int tpm_call_listen_pair(uint16_t *port, int *tpm, int *platform)
{
    uint16_t ignored;
    for (int i = 0; i < 100; i++) {
        *tpm = support_listen(0, port);
        *platform = *port < 65535 ? support_listen((uint16_t)(*port + 1), &ignored) : -1;
        if (*platform >= 0) {
            return 0;
        }
        (void)close(*tpm);
    }
    return BYTES_E_STREAM;
}

int tpm_call_terminal(char *path, size_t path_size, int *slave)
{
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        ptsname_r(master, path, path_size) != 0 || tcgetattr(master, &raw) != 0) {
        return -1;
    }
    cfmakeraw(&raw);
    *slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *slave >= 0 && tcsetattr(*slave, TCSANOW, &raw) == 0 ? master : -1;
}

static const uint8_t zero[4];
const struct support_step tpm_call_platform[TPM_CALL_PLATFORM_STEPS] = {{zero, 4, false, false},
                                                                        {zero, 4, false, false}};

/* ---- Commands, one after the other, to one TPM ---- */

struct tpm_call tpm_call;

struct bytes_writer tpm_call_begin(void)
{
    return bytes_writer_over(tpm_call.buffer, sizeof tpm_call.buffer);
}

int tpm_call_send(const struct bytes_writer *w)
{
    const struct port_tpm port = posix_tpm_port(&tpm_call.tpm);
    if (w->error != 0) {
        return w->error;
    }
    return port.transact(port.context, bytes_written(w), tpm_call.buffer, sizeof tpm_call.buffer,
                         &tpm_call.answer_len, TPM_CALL_TIMEOUT_MS);
}

struct bytes tpm_call_answer(void)
{
    return bytes_of(tpm_call.buffer, tpm_call.answer_len);
}

int tpm_call_make(struct tpm_call_key *key, uint32_t hierarchy, struct tpm2_public area,
                  struct bytes password)
{
    struct bytes public_2b;
    struct bytes name;
    struct bytes_writer w = tpm_call_begin();
    const struct tpm2_auth auth = tpm2_auth_password(password);
    tpm2_create_primary_build(&w, hierarchy, &auth, &area);
    CHECK_EQUAL(tpm_call_send(&w), 0);
    CHECK_EQUAL(tpm2_create_primary_parse(tpm_call_answer(), &tpm_call.rc, &key->handle, &public_2b, &name),
                0);
    memcpy(key->bytes, public_2b.p, public_2b.len);
    key->len = public_2b.len;
    CHECK_EQUAL(tpm2_public_parse_2b(bytes_of(key->bytes, key->len), &key->area), 0);
    memcpy(key->name, name.p, TPM2_NAME_SIZE);
    return 0;
}

int tpm_call_flush(uint32_t handle)
{
    struct bytes_writer w = tpm_call_begin();
    tpm2_flush_context_build(&w, handle);
    CHECK_EQUAL(tpm_call_send(&w), 0);
    return tpm2_flush_context_parse(tpm_call_answer(), &tpm_call.rc);
}
