/* SPDX-License-Identifier: MIT */
/* register, token, send: the device and the services. */
#include "dps/device/device.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "port/posix/device/tool.h"
#include "port/posix/private.h"
#include <errno.h>
#include <string.h>

#define HTTPS_PORT 443
/* How long to wait for another dps-device to end its registration. */
#define STATE_WAIT_MS 10000

int device_take_id(struct device_tool *t)
{
    const char *id = t->options.id;
    if (id != NULL && !dps_registration_id_valid(bytes_of_text(id))) {
        device_say("--id \"%s\": a registration ID has 1 to %d letters, digits and '-', '.', '_', ':', and "
                   "ends with a "
                   "letter, a digit or '-'",
                   id, DPS_REGISTRATION_ID_MAX);
        return POSIX_EXIT_USAGE;
    }
    t->config.registration_id = id;
    return 0;
}

static int take_service(struct device_tool *t)
{
    char why[512];
    const struct device_options *o = &t->options;
    if (options_service_url(o->service, t->service_host, sizeof t->service_host, &t->config.service_port, why,
                            sizeof why) != 0) {
        device_say("%s", why);
        return POSIX_EXIT_USAGE;
    }
    t->config.service_host = t->service_host;
    t->config.id_scope = o->scope;
    struct bytes root;
    if (o->payload != NULL) {
        t->config.payload = bytes_of_text(o->payload);
        const int error = dps_json_check(t->config.payload, &root);
        if (error == BYTES_E_LIMIT) {
            device_say("--payload is nested deeper than %d levels", DPS_JSON_DEPTH_MAX);
        } else if (error != 0) {
            device_say(
                "--payload is not JSON; in a shell put it into single quotes: --payload '{\"model\":\"x\"}'");
        }
        if (error != 0) {
            return POSIX_EXIT_USAGE;
        }
    }
    return 0;
}

/* Checked first, so that the TPM does not work in vain. */
static int take_way(struct device_tool *t)
{
    const struct device_options *o = &t->options;
    char host[DPS_HOST_MAX + 1];
    char why[640];
    uint16_t port;
    t->config.hub_port = o->hub_port != 0 ? (uint16_t)o->hub_port : HTTPS_PORT;
    t->config.hub_mqtt_port = (uint16_t)o->hub_port;
    if (o->connect_to != NULL && posix_host_port(o->connect_to, host, sizeof host, &port) != 0) {
        device_say("--connect-to takes HOST:PORT or [IPV6]:PORT, not \"%s\"", o->connect_to);
        return POSIX_EXIT_USAGE;
    }
    const int error = posix_proxy_choose(&t->proxy, o->proxy, o->proxy_auth_file, why, sizeof why);
    if (error == 0) {
        return 0;
    }
    device_say("%s", why);
    return error == BYTES_E_USAGE || error == BYTES_E_SPACE ? POSIX_EXIT_USAGE : POSIX_EXIT_STORE;
}

/* Checked before the service assigns the device: a registration whose result cannot be saved is useless. */
static int check_state_writable(const char *path)
{
    char reason[POSIX_FILE_ERROR_MAX];
    if (posix_file_replaceable(path) == 0) {
        return 0;
    }
    device_say("the state file %s could not be written later: %s", path,
               posix_file_error(errno, reason, sizeof reason));
    return POSIX_EXIT_STORE;
}

/* Two registrations at once make each other's hub key useless, and the file could end up with the wrong one. token and
 * send only read it, and it is replaced as a whole. */
static int lock_state(struct device_tool *t)
{
    const char *path = t->options.state;
    const int error = posix_lock(path, STATE_WAIT_MS, &t->state_lock);
    t->state_locked = error == 0;
    if (error == 0) {
        return 0;
    }
    if (error == BYTES_E_TIMEOUT) {
        return 128 + posix_interrupted;
    }
    if (error == BYTES_E_CONFLICT) {
        device_say(
            "another dps-device is registering with --state %s and did not end within %d s. What to do: wait "
            "for it, or give each device a state file of its own",
            path, STATE_WAIT_MS / 1000);
    } else {
        device_say("the state file %s cannot be locked (%s.lock): %s", path, path, strerror(errno));
    }
    return POSIX_EXIT_STORE;
}

static void print_line(const char *title, const char *text)
{
    printf("%-14s", title);
    device_print_text(stdout, bytes_of_text(text));
    putchar('\n');
}

static void print_effort(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    printf("TPM commands  %u in %llu ms\n", (unsigned)d->tpm_commands, (unsigned long long)t->drive.tpm_ms);
    printf("Requests      %u on %u connection%s\n", (unsigned)d->http_requests, (unsigned)d->connections,
           d->connections == 1 ? "" : "s");
    printf("Time          %llu ms\n", (unsigned long long)t->run_ms);
}

int device_register(struct device_tool *t)
{
    const struct device_options *o = &t->options;
    int exit_code = device_require(o->service, "service https://HOST");
    if (exit_code == 0) {
        exit_code = device_require(o->ca, "ca FILE");
    }
    if (exit_code == 0) {
        exit_code = device_require(o->scope, "scope ID");
    }
    if (exit_code == 0) {
        exit_code = device_require(o->state, "state FILE");
    }
    if (exit_code == 0) {
        exit_code = device_take_id(t);
    }
    if (exit_code == 0) {
        exit_code = take_service(t);
    }
    if (exit_code == 0) {
        exit_code = take_way(t);
    }
    if (exit_code == 0) {
        exit_code = check_state_writable(o->state);
    }
    if (exit_code == 0) {
        exit_code = lock_state(t);
    }
    if (exit_code == 0) {
        exit_code = device_trust(t);
    }
    if (exit_code == 0) {
        exit_code = device_open(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    device_warn_software(t);
    const int expected = device_expect_ek(t);
    if (expected != 0 && expected != BYTES_E_NOT_FOUND) {
        device_say("%s does not say of which TPM it is, so any TPM will do; it is written anew", o->state);
    }
    exit_code = device_seed(t);
    if (exit_code == 0) {
        exit_code = device_run(t, dps_device_register(&t->engine, &t->config, t->seed));
    }
    if (exit_code != 0) {
        return exit_code;
    }
    print_line("Registered", t->engine.registration_id);
    print_line("Device", t->engine.device_id);
    print_line("Hub", t->engine.assigned_hub);
    print_line("Substatus", t->engine.substatus[0] != 0 ? t->engine.substatus : "-");
    print_line("State", o->state);
    print_effort(t);
    return 0;
}

static int load_state(struct device_tool *t, struct bytes *record)
{
    const char *path = t->options.state;
    char reason[POSIX_FILE_ERROR_MAX];
    size_t len;
    int error = posix_file_read(path, t->record, sizeof t->record, &len);
    *record = bytes_of(t->record, len);
    if (error == BYTES_E_NOT_FOUND) {
        device_say(
            "there is no state file %s: this device has not been registered with it. What to do: dps-device "
            "register ... --state %s",
            path, path);
    } else if (error == BYTES_E_SPACE) {
        device_say(
            "%s is not a state file of this program: it is too long. What to do: name the file that register "
            "wrote, with --state",
            path);
    } else if (error != 0) {
        device_say("the state file %s: %s", path, posix_file_error(errno, reason, sizeof reason));
    }
    return error != 0 ? POSIX_EXIT_STORE : 0;
}

/* A token is made without asking a service for the time, so only this clock can give it. */
int device_check_clock(const struct device_tool *t)
{
    if (t->port.clock.unix_seconds(t->port.clock.context) != 0) {
        return 0;
    }
    device_say(
        "this system's clock is set to a time before this program's release: the token would have expired "
        "already. What "
        "to do: set the clock (date; timedatectl), then do the same again");
    return POSIX_EXIT_NETWORK;
}

int device_token(struct device_tool *t)
{
    struct bytes record;
    int exit_code = device_require(t->options.state, "state FILE");
    if (exit_code == 0) {
        exit_code = load_state(t, &record);
    }
    if (exit_code == 0) {
        exit_code = device_open(t);
    }
    if (exit_code == 0) {
        exit_code = device_check_clock(t);
    }
    if (exit_code == 0) {
        exit_code = device_seed(t);
    }
    t->config.token_lifetime = (uint32_t)t->options.token_lifetime;
    if (exit_code == 0) {
        exit_code = device_run(t, dps_device_token(&t->engine, &t->config, t->seed, record));
    }
    if (exit_code != 0) {
        return exit_code;
    }
    const struct bytes token = dps_device_token_text(&t->engine);
    printf("%.*s\n", (int)token.len, (const char *)token.p);
    return 0;
}

static int take_message(struct device_tool *t)
{
    const struct device_options *o = &t->options;
    if ((o->message == NULL) == (o->message_file == NULL)) {
        device_say("send takes either --message TEXT or --message-file FILE");
        return POSIX_EXIT_USAGE;
    }
    if (o->message_file != NULL) {
        return device_input(o->message_file, t->data, DEVICE_MESSAGE_MAX, &t->config.data);
    }
    t->config.data = bytes_of_text(o->message);
    return 0;
}

int device_open_for_hub(struct device_tool *t, struct bytes *record)
{
    int exit_code = device_require(t->options.state, "state FILE");
    if (exit_code == 0) {
        exit_code = device_require(t->options.ca, "ca FILE");
    }
    if (exit_code == 0) {
        exit_code = take_way(t);
    }
    if (exit_code == 0) {
        exit_code = load_state(t, record);
    }
    if (exit_code == 0) {
        exit_code = device_trust(t);
    }
    return exit_code == 0 ? device_open(t) : exit_code;
}

int device_send(struct device_tool *t)
{
    struct bytes record;
    int exit_code = t->options.mqtt ? device_check_mqtt() : 0;
    if (exit_code == 0) {
        exit_code = take_message(t);
    }
    if (exit_code == 0) {
        exit_code = device_open_for_hub(t, &record);
    }
    if (exit_code == 0) {
        exit_code = device_seed(t);
    }
    if (exit_code == 0 && t->options.mqtt) {
        return device_send_mqtt(t, record);
    }
    if (exit_code == 0) {
        exit_code = device_run(t, dps_device_send(&t->engine, &t->config, t->seed, record));
    }
    if (exit_code != 0) {
        return exit_code;
    }
    print_line("Accepted by", t->engine.assigned_hub);
    print_line("Device", t->engine.device_id);
    printf("Message       %zu bytes, answered %u\n", t->config.data.len, (unsigned)t->engine.http_status);
    print_effort(t);
    return 0;
}
