/* SPDX-License-Identifier: MIT */
/* The interposer: how a command and its answer pass him. What is changed is recorded twice, as it came and as it went
 * on. */
#include "tests/hostile/interpose.h"
#include "port/posix/private.h"
#include "tpm/rc.h"
#include "tpm/tools/explain.h"
#include "tpm/tools/rc_text.h"
#include <stdio.h>
#include <string.h>

void interposer_say(const struct interposer *i, const char *what, uint32_t rc)
{
    const char *name = tpm2_rc_name(tpm2_rc_decode(rc).code);
    if (i->log) {
        fprintf(stderr, "interpose: %s: 0x%03x %s\n", what, (unsigned)rc, name != NULL ? name : "");
    }
}

void interposer_show(const struct interposer *i, const char *what, struct bytes bytes)
{
    if (i->log) {
        fprintf(stderr, "interpose: %s: ", what);
        for (size_t at = 0; at < bytes.len; at++) {
            fprintf(stderr, "%02x", bytes.p[at]);
        }
        fputc('\n', stderr);
    }
}

static void record_by(const struct port_trace *sink, enum port_trace_kind kind, const char *who,
                      struct bytes bytes)
{
    if (sink->message != NULL) {
        sink->message(sink->context, 0, kind, who, bytes);
    }
}

static void record(const struct interposer *i, enum port_trace_kind kind, const char *who, struct bytes bytes)
{
    record_by(&i->record, kind, who, bytes);
}

int interposer_ask(struct interposer *i, const struct bytes_writer *command, uint8_t *response,
                   size_t capacity, struct bytes *answer)
{
    size_t len = 0;
    if (command->error != 0) {
        return command->error;
    }
    record_by(&i->own, PORT_TRACE_TPM_COMMAND, "from the interposer", bytes_written(command));
    const int error =
        i->tpm.transact(i->tpm.context, bytes_written(command), response, capacity, &len, i->timeout_ms);
    *answer = bytes_of(response, error == 0 ? len : 0);
    record_by(&i->own, PORT_TRACE_TPM_RESPONSE, "to the interposer", *answer);
    return error;
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

static void look_at_rules(struct interposer *i)
{
    for (size_t k = 0; k < i->rule_count; k++) {
        struct interposer_rule *rule = &i->rules[k];
        const bool fits = rule->code == 0 || rule->code == i->code;
        rule->seen += fits;
        rule->now = fits && rule->seen == rule->nth;
    }
}

static bool flip(const struct interposer *i, enum interposer_deed deed, uint8_t *message, size_t len)
{
    bool changed = false;
    for (size_t k = 0; k < i->rule_count; k++) {
        const struct interposer_rule *rule = &i->rules[k];
        const size_t at = rule->at < len ? rule->at : len - 1;
        if (rule->deed == deed && rule->now && len > 0) {
            message[at] ^= 1;
            changed = true;
            if (i->log) {
                fprintf(stderr, "interpose: a wrong bit: byte %zu of %zu\n", at, len);
            }
        }
    }
    return changed;
}

static void replay(struct interposer *i)
{
    uint8_t response[INTERPOSER_MESSAGE_MAX];
    struct bytes answer;
    for (size_t k = 0; k < i->rule_count; k++) {
        if (i->rules[k].deed == INTERPOSER_REPLAY && i->rules[k].now) {
            struct bytes_writer again = bytes_writer_over(i->command, sizeof i->command);
            (void)bytes_write_room(&again, i->command_len);
            if (interposer_ask(i, &again, response, sizeof response, &answer) == 0) {
                interposer_say(i, "the same command once more", tpm2_explain_command_code(answer));
            }
        }
    }
    bytes_wipe(response, sizeof response);
}

/* ---- One command ------------------------------------------------------------------------------------------------- */

static int pass_on(struct interposer *i, uint8_t *response, size_t capacity, size_t *len)
{
    const struct bytes command = bytes_of(i->command, i->command_len);
    const int error = i->tpm.transact(i->tpm.context, command, response, capacity, len, i->timeout_ms);
    if (error != 0) {
        return error;
    }
    record(i, PORT_TRACE_TPM_RESPONSE, "from the TPM", bytes_of(response, *len));
    interposer_listen(i, bytes_of(response, *len));
    bool changed = interposer_give_session(i, response, *len);
    changed = interposer_put_own_ek(i, response, *len) || changed;
    changed = flip(i, INTERPOSER_FLIP_RESPONSE, response, *len) || changed;
    if (changed) {
        record(i, PORT_TRACE_TPM_RESPONSE, "changed, to the device", bytes_of(response, *len));
    }
    return 0;
}

int interposer_transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                        size_t *response_len, uint32_t timeout_ms)
{
    struct interposer *i = context;
    if (command.len > sizeof i->command) {
        return BYTES_E_TPM_TRANSPORT;
    }
    *response_len = 0;
    memcpy(i->command, command.p, command.len);
    i->command_len = command.len;
    i->timeout_ms = timeout_ms;
    i->code = tpm2_explain_command_code(command);
    look_at_rules(i);
    record(i, PORT_TRACE_TPM_COMMAND, "from the device", command);
    if (interposer_steal(i, response, capacity, response_len)) {
        record(i, PORT_TRACE_TPM_RESPONSE, "the same, to the device", bytes_of(response, *response_len));
        return 0;
    }
    bool changed = flip(i, INTERPOSER_FLIP_COMMAND, i->command, i->command_len);
    changed = interposer_pass_salt_on(i) || changed;
    changed = interposer_put_session_back(i) || changed;
    if (changed) {
        record(i, PORT_TRACE_TPM_COMMAND, "changed, to the TPM", bytes_of(i->command, i->command_len));
    }
    const int error = pass_on(i, response, capacity, response_len);
    if (error == 0) {
        replay(i);
    }
    return error;
}
