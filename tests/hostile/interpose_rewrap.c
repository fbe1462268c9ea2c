/* SPDX-License-Identifier: MIT */
/* The interposer wants the imported keys. He needs the inner key, and the outer wrap off: what the device does at
 * TPM2_ActivateCredential [P3 r1.59 12.5], and TPM2_Rewrap [P3 r1.59 13.2]. All else has crossed the bus. */
#include "tests/hostile/interpose.h"
#include "tpm/command.h"
#include "tpm/tools/command_more.h"
#include "tpm/tools/open.h"
#include <string.h>

#define HEADER_SIZE 10

static struct tpm2_auth no_password(void)
{
    return tpm2_auth_password(bytes_of(NULL, 0));
}

static void keep(struct bytes bytes, uint8_t *out, size_t capacity, size_t *len)
{
    *len = bytes.len <= capacity ? bytes.len : 0;
    if (*len > 0) {
        memcpy(out, bytes.p, *len);
    }
}

/* ---- The inner key ----------------------------------------------------------------------------------------------- */

/* What the device's ActivateCredential says. */
struct activation {
    uint32_t srk, ek;
    uint32_t session; /* that authorizes the EK: the second one */
    bool keep_session;
    bool in_clear; /* no session hides anything */
    bool ek_hides; /* that session does */
    struct bytes of_ek, parameters;
};

static bool read_activation(struct interposer *i, struct activation *a)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(i->command, i->command_len));
    bytes_skip(&r, HEADER_SIZE);
    *a = (struct activation){.in_clear = true};
    a->srk = bytes_read_u32(&r);
    a->ek = bytes_read_u32(&r);
    struct bytes_reader auths = bytes_reader_over(bytes_read_bytes(&r, bytes_read_u32(&r)));
    for (unsigned n = 0; auths.left > 0 && auths.error == 0; n++) {
        a->of_ek = bytes_of(auths.p, auths.left);
        const uint32_t session = bytes_read_u32(&auths);
        (void)bytes_read_2b(&auths);
        const uint8_t attributes = bytes_read_u8(&auths);
        (void)bytes_read_2b(&auths);
        a->session = n == 1 ? session : a->session;
        a->keep_session = n == 1 ? (attributes & TPM2_SESSION_CONTINUE) != 0 : a->keep_session;
        a->ek_hides = (attributes & TPM2_SESSION_ENCRYPT) != 0;
        a->in_clear = a->in_clear && !a->ek_hides;
    }
    a->parameters = bytes_of(r.p, r.left);
    keep(bytes_read_2b(&r), i->id_object, sizeof i->id_object, &i->id_object_len);
    keep(bytes_read_2b(&r), i->secret, sizeof i->secret, &i->secret_len);
    return r.error == 0 && auths.error == 0;
}

static void take(struct interposer *i, struct bytes cert_info)
{
    keep(cert_info, i->inner_key, sizeof i->inner_key, &i->inner_key_len);
    i->inner_keys += i->inner_key_len > 0;
    if (i->inner_key_len > 0) {
        interposer_show(i, "the inner key", cert_info);
    }
}

/* In clear, with some policy session. Returns whether the TPM has given it; the answer views response. */
static bool activate(struct interposer *i, const struct activation *a, uint32_t session, bool keep_session,
                     const char *what, uint8_t *response, size_t capacity, struct bytes *answer)
{
    uint8_t command[1024];
    uint32_t rc = 0;
    struct bytes cert_info;
    const struct tpm2_auth auth[2] = {no_password(), tpm2_auth_policy(session, keep_session)};
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_activate_credential_build(&w, a->srk, a->ek, auth, bytes_of(i->id_object, i->id_object_len),
                                   bytes_of(i->secret, i->secret_len));
    if (interposer_ask(i, &w, response, capacity, answer) != 0) {
        return false;
    }
    const int error = tpm2_activate_credential_parse(*answer, &rc, &cert_info);
    interposer_say(i, what, rc);
    i->refusals += error != 0;
    take(i, cert_info);
    return error == 0;
}

/* As the device has authorized the EK, but with the empty password where it has a session for the SRK. */
static void activate_stripped(struct interposer *i, const struct activation *a)
{
    static const uint8_t password[] = {0x40, 0, 0, 9, 0, 0, 0, 0, 0};
    uint8_t command[1024], response[1024];
    uint32_t rc = 0;
    struct bytes answer, cert_info;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    const size_t auths_len = sizeof password + a->of_ek.len;
    bytes_write_u16(&w, TPM2_ST_SESSIONS);
    bytes_write_u32(&w, (uint32_t)(HEADER_SIZE + 4 + 4 + 4 + auths_len + a->parameters.len));
    bytes_write_u32(&w, TPM2_CC_ACTIVATE_CREDENTIAL);
    bytes_write_u32(&w, a->srk);
    bytes_write_u32(&w, a->ek);
    bytes_write_u32(&w, (uint32_t)auths_len);
    bytes_write_bytes(&w, bytes_of(password, sizeof password));
    bytes_write_bytes(&w, a->of_ek);
    bytes_write_bytes(&w, a->parameters);
    if (interposer_ask(i, &w, response, sizeof response, &answer) != 0) {
        return;
    }
    const int error = tpm2_activate_credential_parse(answer, &rc, &cert_info);
    interposer_say(i, "TPM2_ActivateCredential without the first session", rc);
    i->stripped += error == 0;
    take(i, a->ek_hides ? bytes_of(NULL, 0) : cert_info);
}

/* A policy session of his own, with the empty password of the endorsement hierarchy. */
static void activate_alone(struct interposer *i, const struct activation *a)
{
    static const uint8_t nonce_caller[32] = {2};
    uint8_t command[128], response[1024];
    uint32_t rc = 0, session = 0;
    struct bytes answer, nonce;
    const struct tpm2_auth empty = no_password();
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_start_auth_session_build(&w, TPM2_SE_POLICY, bytes_of(nonce_caller, sizeof nonce_caller));
    if (interposer_ask(i, &w, response, sizeof response, &answer) != 0 ||
        tpm2_start_auth_session_parse(answer, &rc, &session, &nonce) != 0) {
        return;
    }
    w = bytes_writer_over(command, sizeof command);
    tpm2_policy_secret_build(&w, TPM2_RH_ENDORSEMENT, session, &empty, bytes_of(NULL, 0));
    if (interposer_ask(i, &w, response, sizeof response, &answer) == 0) {
        const int error = tpm2_policy_secret_parse(answer, &rc);
        interposer_say(i, "TPM2_PolicySecret with the empty password", rc);
        i->refusals += error != 0;
    }
    if (rc == 0 && activate(i, a, session, false, "TPM2_ActivateCredential with a session of his own",
                            response, sizeof response, &answer)) {
        return; /* that has closed the session */
    }
    w = bytes_writer_over(command, sizeof command);
    tpm2_flush_context_build(&w, session);
    (void)interposer_ask(i, &w, response, sizeof response, &answer);
}

/* Where the device has no session with a key, his command is what the device has sent, and so is the answer. */
static bool take_inner_key(struct interposer *i, uint8_t *response, size_t capacity, size_t *len)
{
    struct activation a;
    struct bytes answer;
    uint8_t other[1024];
    i->inner_key_len = 0;
    if (!read_activation(i, &a)) {
        return false;
    }
    if (i->strip) {
        activate_stripped(i, &a);
        return false;
    }
    const bool given =
        activate(i, &a, a.session, a.keep_session, "TPM2_ActivateCredential with the device's session",
                 a.in_clear ? response : other, a.in_clear ? capacity : sizeof other, &answer);
    if (given && a.in_clear) {
        *len = answer.len;
        return true;
    }
    if (!given) {
        activate_alone(i, &a);
    }
    return false;
}

/* ---- The outer wrap ---------------------------------------------------------------------------------------------- */

static void open_inner(struct interposer *i, struct bytes duplicate, struct bytes name)
{
    uint8_t storage[256];
    struct tpm2_sensitive sensitive;
    if (tpm2_duplicate_open_inner(duplicate, bytes_of(i->inner_key, i->inner_key_len), name, &sensitive,
                                  storage, sizeof storage) == 0) {
        keep(sensitive.key, i->key, sizeof i->key, &i->key_len);
        i->keys++;
        interposer_show(i, "the key", bytes_of(i->key, i->key_len));
    }
    bytes_wipe(storage, sizeof storage);
}

/* Does one of these sessions encrypt the first parameter of the command? */
static bool is_hidden(struct bytes auths)
{
    struct bytes_reader r = bytes_reader_over(auths);
    uint8_t all = 0;
    while (r.left > 0 && r.error == 0) {
        (void)bytes_read_u32(&r); /* handle */
        (void)bytes_read_2b(&r);
        all |= bytes_read_u8(&r);
        (void)bytes_read_2b(&r);
    }
    return (all & TPM2_SESSION_DECRYPT) != 0;
}

/* All but the inner key stands in the device's Import, also if a session hides that. */
static void rewrap(struct interposer *i)
{
    uint8_t command[1024], response[1024], name[TPM2_NAME_SIZE];
    uint32_t rc = 0;
    struct bytes answer, duplicate, secret;
    const struct tpm2_auth empty = no_password();
    struct bytes_reader r = bytes_reader_over(bytes_of(i->command, i->command_len));
    bytes_skip(&r, HEADER_SIZE);
    const uint32_t parent = bytes_read_u32(&r);
    const bool hidden = is_hidden(bytes_read_bytes(&r, bytes_read_u32(&r)));
    const struct bytes encryption_key = bytes_read_2b(&r);
    const uint8_t *public_2b = r.p;
    const size_t public_len = bytes_read_2b(&r).len + 2;
    const struct bytes in_duplicate = bytes_read_2b(&r), in_secret = bytes_read_2b(&r);
    if (r.error != 0) {
        return;
    }
    if (!hidden && i->inner_key_len == 0) {
        keep(encryption_key, i->inner_key, sizeof i->inner_key, &i->inner_key_len);
        i->inner_keys++;
        interposer_show(i, "the inner key", encryption_key);
    }
    tpm2_name_of(bytes_of(public_2b, public_len), name);
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_rewrap_build(&w, parent, TPM2_RH_NULL, &empty, in_duplicate, bytes_of(name, sizeof name), in_secret);
    if (interposer_ask(i, &w, response, sizeof response, &answer) != 0) {
        return;
    }
    const int error = tpm2_rewrap_parse(answer, &rc, &duplicate, &secret);
    interposer_say(i, "TPM2_Rewrap", rc);
    i->refusals += error != 0;
    if (error == 0 && i->inner_key_len > 0) {
        open_inner(i, duplicate, bytes_of(name, sizeof name));
    } else if (error == 0) {
        interposer_show(i, "still under the inner key, which he does not have", duplicate);
    }
}

/* ---- What is sealed ---------------------------------------------------------------------------------------------- */

/* The sealed object has no password. So the session hides the answer from whoever listens, and who asks himself gets
 * it in clear. */
static void unseal(struct interposer *i)
{
    uint8_t command[64], response[1024];
    uint32_t rc = 0;
    struct bytes answer, data;
    const struct tpm2_auth empty = no_password();
    struct bytes_reader r = bytes_reader_over(bytes_of(i->command, i->command_len));
    bytes_skip(&r, HEADER_SIZE);
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_unseal_build(&w, bytes_read_u32(&r), &empty);
    if (interposer_ask(i, &w, response, sizeof response, &answer) != 0) {
        return;
    }
    const int error = tpm2_unseal_parse(answer, &rc, &data);
    interposer_say(i, "TPM2_Unseal without a session", rc);
    if (error == 0) {
        i->stripped++;
        keep(data, i->key, sizeof i->key, &i->key_len);
        interposer_show(i, "what was sealed", data);
    }
    bytes_wipe(response, sizeof response);
}

bool interposer_steal(struct interposer *i, uint8_t *response, size_t capacity, size_t *len)
{
    if ((i->rewrap || i->strip) && i->code == TPM2_CC_ACTIVATE_CREDENTIAL) {
        return take_inner_key(i, response, capacity, len);
    }
    if (i->rewrap && i->code == TPM2_CC_IMPORT) {
        rewrap(i);
    }
    if (i->strip && i->code == TPM2_CC_UNSEAL) {
        unseal(i);
    }
    return false;
}
