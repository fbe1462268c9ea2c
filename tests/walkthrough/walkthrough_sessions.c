/* SPDX-License-Identifier: MIT */
/* The same once more, in sessions that a listener on the bus cannot read [P1 r1.59 19.6 and 21]: a new owner sets a
 * password, and the device registers again. After each message stands what --trace-secrets shows of it. Then somebody
 * on the bus tries to take the keys. */
#include "dps/device/ownership.h"
#include "tests/hostile/interpose.h"
#include "tests/walkthrough/walkthrough.h"

static void own(struct walk *k)
{
    struct flow *f = &k->flow;
    walk_must(dps_device_own(&f->device, &f->config, flow_nonce) == 0 && flow_finish(f) == 0,
              "no new password");
}

/* A registration that an interposer attends; and how many keys he gets. */
static uint8_t keys_taken(struct walk *k, bool sessions)
{
    struct flow *f = &k->flow;
    const struct port_tpm tpm = f->tpm_port;
    static struct interposer bus;
    bus = (struct interposer){.tpm = tpm, .rewrap = true};
    f->config.no_sessions = !sessions;
    f->tpm_port = (struct port_tpm){&bus, interposer_transact};
    walk_must(flow_register(f) == 0, "an interposer prevents the registration");
    f->tpm_port = tpm;
    return (uint8_t)bus.keys;
}

void walk_sessions(struct walk *k)
{
    struct flow *f = &k->flow;
    uint8_t keys[4];
    walk_scene("sessions");
    f->config.no_sessions = false;
    f->config.persist = false;
    f->config.new_owner_auth = bytes_of_text("the next owner's");
    k->what = NULL;
    k->trace.device = &f->device;
    own(k);
    f->config.owner_auth = f->config.new_owner_auth;
    f->config.new_owner_auth = bytes_of(NULL, 0);
    walk_must(flow_register(f) == 0, "the device cannot register in a session");
    k->trace.device = NULL;

    k->quiet = true;
    keys[0] = keys_taken(k, false);
    keys[1] = keys_taken(k, true);
    f->config.no_sessions = false;
    f->config.new_endorsement_auth = bytes_of_text("endorsement's");
    own(k);
    f->config.endorsement_auth = f->config.new_endorsement_auth;
    f->config.new_endorsement_auth = bytes_of(NULL, 0);
    keys[2] = keys_taken(k, false);
    keys[3] = keys_taken(k, true);
    k->quiet = false;
    walk_value("keysTaken", bytes_of(keys, sizeof keys));
}
