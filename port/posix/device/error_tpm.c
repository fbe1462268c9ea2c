/* SPDX-License-Identifier: MIT */
/* A TPM's refusal in words: what it means depends on the command, and what to do on the situation. */
#include "port/posix/device/tool.h"
#include "port/posix/private.h"
#include "tpm/rc.h"
#include "tpm/tools/explain.h"
#include "tpm/tools/rc_text.h"
#include <errno.h>
#include <string.h>

/* A situation that is known. Zero and null: any command, the code's general meaning, nothing to advise. First match. */
struct situation {
    uint32_t command;
    uint32_t code;
    const char *happened;
    const char *to_do;
};

#define TO_DO_MAX 1200 /* bytes */

/* Unlike keys, the lockout authority allows no second try: a single wrong one locks it. */
#define LOCKOUT_HAPPENED "a wrong lockout authorization was given before, and the lockout authority is locked"
#define LOCKOUT_TO_DO                                                                                        \
    "wait, with the TPM powered, for as long as the lockout authority is locked after a wrong try "          \
    "according to `dps-device info` (no TPM tells whether it is locked now); or clear the TPM in the "       \
    "firmware's set-up (BIOS)"

#define COUNTS ", and this try counts towards the lockout"

/* What an attacker on the bus causes looks like this, and so does a TPM with a defect. */
#define BUS_TO_DO "do the same again; if it stays so, see who is on the TPM's bus"

/* Quirk: no salted sessions. */
#define SALT_HAPPENED "this TPM refuses a session that is salted to its endorsement key"
#define SALT_TO_DO                                                                                           \
    "see who is on the TPM's bus: he can make this answer, too. If the TPM itself gives it each time, use "  \
    "--no-sessions; whoever listens there then sees passwords and inner keys"

static const struct situation situations[] = {
    {TPM2_CC_START_AUTH_SESSION, TPM2_RC_SYMMETRIC, SALT_HAPPENED, SALT_TO_DO},
    {TPM2_CC_START_AUTH_SESSION, TPM2_RC_MODE, SALT_HAPPENED, SALT_TO_DO},
    {TPM2_CC_START_AUTH_SESSION, TPM2_RC_KEY, SALT_HAPPENED, SALT_TO_DO},
    {TPM2_CC_START_AUTH_SESSION, TPM2_RC_ATTRIBUTES, SALT_HAPPENED, SALT_TO_DO},
    {TPM2_CC_START_AUTH_SESSION, TPM2_RC_VALUE, SALT_HAPPENED, SALT_TO_DO},
    {TPM2_CC_ACTIVATE_CREDENTIAL, TPM2_RC_INTEGRITY,
     "the challenge was made for another EK, or for another SRK",
     "compare `dps-device ek --format base64` with the endorsementKey of the enrollment; if they differ, "
     "enroll this "
     "EK, or try --ek-template"},
    {TPM2_CC_ACTIVATE_CREDENTIAL, TPM2_RC_VALUE, "the challenge was encrypted to another EK",
     "compare `dps-device ek --format base64` with the endorsementKey of the enrollment; if they differ, "
     "enroll this "
     "EK, or try --ek-template"},
    {TPM2_CC_ACTIVATE_CREDENTIAL, TPM2_RC_FAILURE,
     "the challenge does not decrypt: it was encrypted to another EK or changed on the way; or the TPM has "
     "failed",
     "register again; compare `dps-device ek --format base64` with the endorsementKey of the enrollment; if "
     "`dps-device info` is refused as well, power the machine down and up again"},
    {TPM2_CC_IMPORT, TPM2_RC_INTEGRITY,
     "the key that the service sent was made for another SRK, or changed on the way",
     "register again; if that does not help, the service is at fault"},
    {TPM2_CC_EVICT_CONTROL, TPM2_RC_NV_DEFINED, "another key is kept at that handle",
     "`dps-device info` lists the persistent keys; leave --persist out, or evict that key if nobody needs "
     "it"},
    {TPM2_CC_EVICT_CONTROL, TPM2_RC_NV_SPACE, NULL,
     "leave --persist out: nothing needs it; `dps-device info` lists the persistent keys"},
    {TPM2_CC_CLEAR, TPM2_RC_DISABLED, "the owner or the firmware has disabled TPM2_Clear",
     "clear the TPM in the firmware's set-up (BIOS), or allow it there"},
    {TPM2_CC_CREATE_PRIMARY, TPM2_RC_HIERARCHY, "the firmware has disabled this hierarchy",
     "enable the TPM's hierarchies in the firmware's set-up (BIOS)"},
    {TPM2_CC_HIERARCHY_CHANGE_AUTH, TPM2_RC_SIZE, "the new authorization is longer than this TPM takes",
     "32 bytes are always allowed"},
    {TPM2_CC_CLEAR, TPM2_RC_LOCKOUT, LOCKOUT_HAPPENED, LOCKOUT_TO_DO},
    {TPM2_CC_HIERARCHY_CHANGE_AUTH, TPM2_RC_LOCKOUT, LOCKOUT_HAPPENED, LOCKOUT_TO_DO},
    /* The key is not to blame: one whose public area has another policy than the template's is never used. */
    {0, TPM2_RC_POLICY_FAIL,
     "the policy session is not as this program has made it: it was changed on the TPM's bus, or the TPM "
     "does not do policies right",
     BUS_TO_DO},
    {0, TPM2_RC_NONCE,
     "the session is not the one that this program began, or the command was changed on its way to the TPM",
     BUS_TO_DO},
    {0, TPM2_RC_LOCKOUT, "too many wrong authorizations were given, and the TPM is locked",
     "wait: `dps-device info` says how long until a try is forgiven; the owner can also end it with the "
     "lockout "
     "authorization (tpm2_dictionarylockout --clear-lockout)"},
    {0, TPM2_RC_COMMAND_CODE, NULL,
     "`dps-device info` lists the commands that are missing; a TPM 2.0 of a PC has them all"},
    {0, TPM2_RC_BAD_TAG, "this is a TPM 1.2",
     "a TPM 2.0 is needed; some can be upgraded by the vendor's firmware"},
    {0, TPM2_RC_INITIALIZE, "the TPM was not started up", "restart it; a simulator may need a startup flag"},
    {0, TPM2_RC_FAILURE, NULL, "power the machine down and up again"},
    {0, TPM2_RC_REBOOT, NULL, "restart the machine"},
};

/* One code of TPM2_Load has three possible causes. */
static struct situation key_does_not_load(const struct device_tool *t)
{
    struct situation s = {TPM2_CC_LOAD, TPM2_RC_INTEGRITY, NULL, NULL};
    if (t->options.state == NULL) {
        s.happened = "this was sealed under a storage root key that this TPM does not have: the TPM was "
                     "cleared since, or "
                     "it is another one";
        s.to_do = "there is no way back: what was sealed under a lost storage root key is gone";
    } else if (t->options.service == NULL) {
        s.happened = "the saved hub key was made under a storage root key that no longer exists: the TPM was "
                     "cleared or "
                     "is another one";
        s.to_do = "register again";
    } else {
        s.happened = "the key that was just imported does not load under this SRK";
        s.to_do = "register again; if that does not help, please report it with the output of --trace";
    }
    return s;
}

#define FLUSH_TO_DO "which removes what a killed program left behind, if no other program uses this TPM"

/* Who else can have filled it depends on the way to this TPM: behind the kernel's resource manager only what somebody
 * loaded by the other device, which the kernel does not know of, takes a slot for longer than a command. */
static void advise_room(const struct device_tool *t, char *text, size_t size)
{
    const char *path = t->tpm.address;
    char other[64];
    if (t->tpm.kind != POSIX_TPM_DEVICE || !posix_tpm_other_device(path, other, sizeof other)) {
        snprintf(text, size, "end the program that uses it, or run `dps-device flush`, " FLUSH_TO_DO);
    } else if (device_is_shared(t)) {
        snprintf(text, size,
                 "end the program that uses %s (`fuser -v %s` shows it), or run `dps-device --tpm %s flush`, "
                 "" FLUSH_TO_DO,
                 other, other, other);
    } else {
        snprintf(text, size, "use the kernel's resource manager, %s, or run `dps-device flush`, " FLUSH_TO_DO,
                 other);
    }
}

/* A TPM numbers its sessions, also those that a resource manager has saved outside; there are 64 numbers as a rule.
 * Whoever runs out of them is not helped by a resource manager. */
static void advise_session_numbers(const struct device_tool *t, char *text, size_t size)
{
    char other[64];
    if (device_is_shared(t) && posix_tpm_other_device(t->tpm.address, other, sizeof other)) {
        snprintf(text, size,
                 "end programs that hold sessions (`fuser -v %s %s` shows who has it open); `dps-device "
                 "info` counts them. If no program runs that uses this TPM, `dps-device --tpm %s flush` "
                 "removes what killed ones left",
                 t->tpm.address, other, other);
    } else {
        snprintf(text, size,
                 "end programs that hold sessions; `dps-device info` counts them; or run `dps-device "
                 "flush`, " FLUSH_TO_DO);
    }
}

/* The situations in which the TPM is full. */
static struct situation no_room(const struct device_tool *t, uint32_t code, char to_do[TO_DO_MAX])
{
    struct situation s = {0, code, NULL, to_do};
    switch (code) {
    case TPM2_RC_SESSION_HANDLES:
        s.happened = "as many sessions as this TPM can count are active, loaded and saved ones together";
        advise_session_numbers(t, to_do, TO_DO_MAX);
        return s;
    case TPM2_RC_OBJECT_MEMORY:
        s.happened = "there is no free slot for another key";
        break;
    case TPM2_RC_OBJECT_HANDLES:
        s.happened = "there is no free handle for another key";
        break;
    case TPM2_RC_SESSION_MEMORY:
        s.happened = "there is no free slot for another session";
        break;
    case TPM2_RC_MEMORY:
        break;
    default:
        return (struct situation){0};
    }
    advise_room(t, to_do, TO_DO_MAX);
    return s;
}

/* The session whose number is in the code: is it one of ours that have a key? */
static bool is_keyed(const struct device_refusal *r, struct tpm2_rc rc)
{
    return rc.kind == TPM2_RC_KIND_SESSION && rc.number > 0 && (r->keyed >> (rc.number - 1) & 1) != 0;
}

/* An authorization that no option gives: no key of the flow has a password, and our sessions' own keys are right. So it
 * is not the user's mistake. */
static struct situation object_refused(const struct device_refusal *r, struct tpm2_rc rc)
{
    struct situation s = {0, rc.code, NULL, BUS_TO_DO};
    if (!is_keyed(r, rc)) {
        s.happened = "what the command uses has a password of its own, which this program does not know, or "
                     "the command was changed on its way to the TPM";
    } else if (r->command == TPM2_CC_HMAC) {
        s.happened = "the command was changed on its way to the TPM, or the session is not ours, or the key "
                     "that the service sent has a password of its own";
    } else {
        s.happened = "the command was changed on its way to the TPM, or the session is not ours";
    }
    return s;
}

/* to_do: room for an advice that names things. */
static struct situation situation_of(const struct device_tool *t, uint32_t command, uint32_t code,
                                     char to_do[TO_DO_MAX])
{
    const struct situation full = no_room(t, code, to_do);
    if (command == TPM2_CC_LOAD && code == TPM2_RC_INTEGRITY) {
        return key_does_not_load(t);
    }
    if (full.code != 0) {
        return full;
    }
    for (size_t i = 0; i < sizeof situations / sizeof situations[0]; i++) {
        if (situations[i].code == code && (situations[i].command == 0 || situations[i].command == command)) {
            return situations[i];
        }
    }
    return (struct situation){0};
}

static const struct hierarchy {
    uint32_t handle;
    uint32_t is_set; /* of TPM_PT_PERMANENT */
    const char *name;
    const char *variable;
} hierarchies[] = {
    [DEVICE_AUTH_OWNER] = {TPM2_RH_OWNER, TPM2_PERMANENT_OWNER_AUTH_SET, "owner", "OWNER"},
    [DEVICE_AUTH_ENDORSEMENT] = {TPM2_RH_ENDORSEMENT, TPM2_PERMANENT_ENDORSEMENT_AUTH_SET, "endorsement",
                                 "ENDORSEMENT"},
    [DEVICE_AUTH_LOCKOUT] = {TPM2_RH_LOCKOUT, TPM2_PERMANENT_LOCKOUT_AUTH_SET, "lockout", "LOCKOUT"},
};
#define HIERARCHY_COUNT (sizeof hierarchies / sizeof hierarchies[0])

/* The hierarchy whose authorization was refused; HIERARCHY_COUNT: the refusal is about something else. */
static size_t hierarchy_refused(const struct device_refusal *r)
{
    const uint32_t code = tpm2_rc_decode(r->rc).code;
    size_t i = 0;
    if (code != TPM2_RC_BAD_AUTH && code != TPM2_RC_AUTH_FAIL) {
        return HIERARCHY_COUNT;
    }
    while (i < HIERARCHY_COUNT && hierarchies[i].handle != r->handles[0]) {
        i++;
    }
    return i;
}

void device_ask_why(struct device_tool *t)
{
    const struct device_refusal refused = t->watch.refused;
    if (hierarchy_refused(&refused) < HIERARCHY_COUNT) {
        t->watch.permanent_told = device_property(t, TPM2_PT_PERMANENT, &t->watch.permanent) == 0;
        t->watch.refused = refused; /* whatever the TPM has answered to this question */
    }
}

/* The value in force: in `own` this can be the new one already. */
static bool was_given(const struct device_tool *t, size_t i)
{
    const struct dps_device *d = &t->engine;
    const bool changed[HIERARCHY_COUNT] = {[DEVICE_AUTH_OWNER] = d->owner_changed,
                                           [DEVICE_AUTH_ENDORSEMENT] = d->endorsement_changed,
                                           [DEVICE_AUTH_LOCKOUT] = d->lockout_changed};
    const size_t in_force = changed[i] ? i + DEVICE_AUTH_NEW_OWNER : i;
    return t->auth_value[in_force].len > 0 && !d->cleared;
}

/* In a session the TPM refuses a changed command with the same words as a wrong password. */
static void explain_authorization(const struct device_tool *t, const struct device_refusal *r, size_t i)
{
    const struct tpm2_rc rc = tpm2_rc_decode(r->rc);
    const struct hierarchy *h = &hierarchies[i];
    const bool none_is_set = t->watch.permanent_told && (t->watch.permanent & h->is_set) == 0;
    const bool given = was_given(t, i);
    const bool keyed = is_keyed(r, rc);
    const char *counts = rc.code == TPM2_RC_AUTH_FAIL ? COUNTS : "";
    if (none_is_set && given) {
        fprintf(stderr,
                "no %s authorization is set, but one was given%s. What to do: leave --%s-auth-file and "
                "DPS_%s_AUTH out.\n",
                h->name, counts, h->name, h->variable);
    } else if (none_is_set) {
        fprintf(stderr,
                "no %s authorization is set, and none was given: a message was changed on its way to or from "
                "the TPM%s. What to do: " BUS_TO_DO ".\n",
                h->name, counts);
    } else {
        fprintf(stderr,
                "the %s authorization %s%s%s. What to do: give the right one with --%s-auth-file FILE or in "
                "DPS_%s_AUTH%s.\n",
                h->name, given ? "that was given is wrong" : "is set and was not given",
                keyed ? ", or a message was changed on its way to or from the TPM" : "", counts, h->name,
                h->variable, keyed ? "; if it is right, " BUS_TO_DO : "");
    }
}

static const char *driver_reason(int cause)
{
    switch (cause) {
    case EINVAL:
        return "it knows nothing of a key or session that the command names";
    case ENOMEM:
        return "it has no room for one more key or session of this program";
    case EFAULT:
        return "the TPM has no room for this program's keys and sessions, which it loads for each command";
    default:
        return "the command is longer than it passes on";
    }
}

void device_explain_driver(const struct device_tool *t)
{
    const char *command = tpm2_explain_command_name(t->watch.asked.command);
    const int cause = t->tpm.driver_cause;
    char to_do[TO_DO_MAX] = "do the same again; if it stays so, please report it with the output of --trace";
    if (cause == EFAULT) {
        advise_room(t, to_do, sizeof to_do);
    } else if (cause == E2BIG) {
        snprintf(to_do, sizeof to_do, "please report it with the output of --trace");
    }
    fprintf(stderr, "the kernel refused %s on %s (%s): %s. What to do: %s.\n",
            command != NULL ? command : "a TPM command", t->options.tpm, strerror(cause),
            driver_reason(cause), to_do);
}

static void print_code(const struct device_refusal *r, struct tpm2_rc rc)
{
    static const char *const about[] = {[TPM2_RC_KIND_HANDLE] = "handle",
                                        [TPM2_RC_KIND_PARAMETER] = "parameter",
                                        [TPM2_RC_KIND_SESSION] = "session"};
    const char *name = tpm2_rc_name(rc.code);
    if (name == NULL) {
        name = rc.kind == TPM2_RC_KIND_LAYER    ? "a code of the layers between program and TPM"
               : rc.kind == TPM2_RC_KIND_VENDOR ? "a code of the TPM's vendor"
                                                : "an unknown code";
    }
    fprintf(stderr, "%s (0x%X", name, (unsigned)r->rc);
    if (rc.kind == TPM2_RC_KIND_HANDLE && rc.number >= 1 && rc.number <= 3) {
        fprintf(stderr, ", handle %u: 0x%08X", rc.number, (unsigned)r->handles[rc.number - 1]);
    } else if (rc.number != 0) {
        fprintf(stderr, ", %s %u", about[rc.kind], rc.number);
    }
    fputs("): ", stderr);
}

void device_explain_refusal(const struct device_tool *t)
{
    const struct device_refusal *r = &t->watch.refused;
    const struct tpm2_rc rc = tpm2_rc_decode(r->rc);
    char to_do[TO_DO_MAX];
    const char *command = tpm2_explain_command_name(r->command);
    fprintf(stderr, "%s answered ", command != NULL ? command : "a TPM command");
    print_code(r, rc);
    const size_t hierarchy = hierarchy_refused(r);
    if (hierarchy < HIERARCHY_COUNT) {
        explain_authorization(t, r, hierarchy);
        return;
    }
    /* A resource manager answers some commands in the TPM's stead, and means what the TPM would mean. */
    uint32_t below = 0;
    (void)(rc.kind == TPM2_RC_KIND_LAYER && tpm2_rc_layer(r->rc, &below) != NULL);
    const uint32_t code = below != 0 ? tpm2_rc_decode(below).code : rc.code;
    const bool unauthorized = code == TPM2_RC_BAD_AUTH || code == TPM2_RC_AUTH_FAIL;
    const struct situation s =
        unauthorized ? object_refused(r, rc) : situation_of(t, r->command, code, to_do);
    const char *meaning = tpm2_rc_meaning(rc.code);
    if (s.happened != NULL) {
        fprintf(stderr, "%s%s.", s.happened, code == TPM2_RC_AUTH_FAIL ? COUNTS : "");
    } else {
        fputs(meaning != NULL ? meaning : "the TPM's documentation may know it.", stderr);
    }
    if (s.to_do != NULL) {
        fprintf(stderr, " What to do: %s.", s.to_do);
    }
    fputc('\n', stderr);
}
