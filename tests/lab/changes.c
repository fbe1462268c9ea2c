/* SPDX-License-Identifier: MIT */
/* What was changed, and how a story goes back to be told anew. */
#include "tests/lab/inside.h"

#define CHANGES 2048

static struct lab_world saved[LAB_STAGES + 1]; /* at the beginning of each stage that was reached */

static struct change {
    bool thing;
    uint8_t stage, view, value;
    uint16_t number, offset;
} changes[CHANGES];
static size_t change_count;
/* The view that was changed last, until the story goes on: its message is not there meanwhile. */
static struct {
    unsigned message, view;
    uint8_t stage;
    size_t len;
} at_hand;

void lab_changes_to(struct lab_message_head *m, unsigned number, uint8_t *bytes)
{
    for (size_t i = 0; i < change_count; i++) {
        const struct change *c = &changes[i];
        if (!c->thing && c->number == number) {
            m->changed =
                lab_view_set((enum port_trace_kind)m->kind, bytes, m->len, c->view, c->offset, c->value) ||
                m->changed;
        }
    }
}

static void change_things(struct lab_world *w)
{
    for (size_t i = 0; i < change_count; i++) {
        const struct change *c = &changes[i];
        size_t len = 0;
        uint8_t *bytes = c->thing && c->stage == w->stage ? lab_thing_list[c->number].find(w, &len) : NULL;
        if (bytes != NULL && c->offset < len) {
            bytes[c->offset] = c->value;
        }
    }
}

static void begin_stage(struct lab_world *w)
{
    if (lab_scene_list[w->scene].before != NULL) {
        lab_scene_list[w->scene].before(w, w->stage);
    }
    change_things(w);
}

void lab_reach(struct lab_world *w, unsigned stage)
{
    at_hand.len = 0;
    while (w->stage < stage && w->stage < LAB_STAGES) {
        w->stage++;
        saved[w->stage] = *w;
        begin_stage(w);
    }
}

static void go_back(unsigned stage)
{
    lab_world = saved[stage];
    begin_stage(&lab_world);
}

struct lab_world *lab_at(unsigned stage)
{
    static struct lab_world then;
    if (stage == 0 || stage > lab_world.stage) {
        return NULL;
    }
    then = saved[stage];
    begin_stage(&then);
    return &then;
}

static bool add(const struct change *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < change_count; i++) {
        const struct change *old = &changes[i];
        const bool same = old->thing == c->thing && old->number == c->number && old->view == c->view &&
                          old->offset == c->offset && (!c->thing || old->stage == c->stage);
        const bool later = old->stage > c->stage || (!c->thing && !old->thing && old->number > c->number);
        if (!same && !later) {
            changes[kept++] = *old;
        }
    }
    change_count = kept;
    if (change_count == CHANGES) {
        return false;
    }
    changes[change_count++] = *c;
    go_back(c->stage);
    return true;
}

static bool take_in_hand(unsigned message, unsigned view)
{
    static uint8_t out[LAB_HTTP_MAX];
    at_hand.len = 0;
    at_hand.message = message;
    at_hand.view = view;
    at_hand.stage = message < lab_world.message_count ? lab_world.messages[message].stage : 0;
    return message < lab_world.message_count && !lab_world.messages[message].attacker &&
           lab_view((enum port_trace_kind)lab_world.messages[message].kind, lab_message_bytes(message), view,
                    out, sizeof out, &at_hand.len) >= 0;
}

bool lab_change_message(unsigned message, unsigned view, unsigned offset, unsigned value)
{
    const bool more = at_hand.len > 0 && at_hand.message == message && at_hand.view == view;
    if (!more && !take_in_hand(message, view)) {
        return false;
    }
    if (offset >= at_hand.len) {
        return false;
    }
    const struct change c = {.stage = at_hand.stage,
                             .view = (uint8_t)view,
                             .value = (uint8_t)value,
                             .number = (uint16_t)message,
                             .offset = (uint16_t)offset};
    return add(&c);
}

bool lab_change_thing(unsigned thing, unsigned stage, unsigned offset, unsigned value)
{
    size_t len = 0;
    at_hand.len = 0;
    struct lab_world *then = lab_at(stage);
    if (then == NULL || thing >= lab_thing_count || lab_thing_list[thing].find(then, &len) == NULL ||
        offset >= len) {
        return false;
    }
    const struct change c = {.thing = true,
                             .stage = (uint8_t)stage,
                             .value = (uint8_t)value,
                             .number = (uint16_t)thing,
                             .offset = (uint16_t)offset};
    return add(&c);
}

bool lab_undo(void)
{
    at_hand.len = 0;
    if (change_count == 0) {
        return false;
    }
    go_back(changes[--change_count].stage);
    return true;
}

size_t lab_change_count(void)
{
    return change_count;
}

void lab_changes_forget(void)
{
    change_count = 0;
    at_hand.len = 0;
}
