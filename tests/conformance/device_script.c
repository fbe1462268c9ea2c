/* SPDX-License-Identifier: MIT */
/* Runs the client under a script, and says whether what it did was right. */
#include "port/posix/private.h"
#include "tests/conformance/device.h"
#include <string.h>

#define CHALLENGES_MAX 10 /* with more unsigned requests than this in one case, it will never stop */
#define REQUESTS_MAX 400  /* a client that polls without a pause */
#define LATE_MS 30        /* after the client's end: what has arrived is still read */
#define RECOVERY_SAMPLE 8 /* after one case of so many, by the seed, the right path is tried again */
#define QUIET_MS 3000 /* without a command: a client that says nothing for so long is done with this case */
#define RIGHT_PATH "DEV-S09-002" /* the case that is about it */
#define REFUSAL "DEV-S04-009" /* the case that is about what a client does with its files if it is refused */
#define DONE_MS 500           /* ... one that was assigned or has hung up, when it adds nothing for so long */

/* ---- One run ---- */

static bool run_is_over(struct client_bench *b, uint64_t now, uint64_t deadline)
{
    const struct client_script *s = b->script;
    bool watched = s != NULL && s->expected == CLIENT_WAITS;
    if (watched && b->seen.special_at != 0 && now >= b->seen.special_at + s->wait_ms) {
        return true;
    }
    if (now >= deadline || b->seen.requests > REQUESTS_MAX) {
        b->seen.timed_out = true;
        return true;
    }
    if (b->pid != 0) {
        return client_ended(b);
    }
    if (b->seen.ran || posix_interrupted) {
        return true;
    }
    bool gave_up =
        s != NULL && s->expected == CLIENT_GIVES_UP && b->seen.special > 0 && !client_is_connected(b);
    uint64_t quiet = b->seen.assigned || gave_up ? DONE_MS : QUIET_MS;
    return b->seen.last_at != 0 && now >= b->seen.last_at + quiet;
}

static void run(struct client_bench *b, const char *command)
{
    uint64_t begin = posix_monotonic_ms();
    uint64_t deadline = begin + 1000 * client_options.timeout_seconds;
    if (command != NULL) {
        if (client_start(b, command) != 0) {
            return;
        }
        b->seen.ran = true;
    }
    while (!run_is_over(b, posix_monotonic_ms(), deadline)) {
        client_serve(b, 5);
    }
    b->seen.ms = posix_monotonic_ms() - begin;
    b->seen.stopped = b->pid != 0;
    client_stop(b);
    uint64_t late = posix_deadline(LATE_MS);
    for (bool any = true; any && posix_monotonic_ms() < late;) {
        unsigned before = b->seen.requests + b->seen.connections;
        client_serve(b, 5);
        any = b->seen.requests + b->seen.connections != before;
    }
    client_drop_all(b);
    client_last_words(b);
}

static void name_operation(struct client_bench *b, const struct client_script *script)
{
    uint8_t random[6] = {0};
    struct crypto_entropy *source = &b->c->random;
    (void)source->fill(source->context, random, sizeof random);
    if (script != NULL && script->operation != NULL) {
        snprintf(b->operation, sizeof b->operation, "%s", script->operation);
    } else {
        snprintf(b->operation, sizeof b->operation, "4.6449577181abb116.%02x%02x%02x%02x-%02x%02x", random[0],
                 random[1], random[2], random[3], random[4], random[5]);
    }
}

void client_play(struct client_bench *b, const struct client_script *script, unsigned variant)
{
    struct crypto_entropy *random = &b->c->random;
    bool to_hub = script != NULL && script->stage == CLIENT_HUB;
    b->script = script;
    b->variant = variant;
    memset(&b->seen, 0, sizeof b->seen);
    if (!to_hub) {
        memcpy(b->old_challenge, b->challenge, b->challenge_len);
        b->old_challenge_len = b->challenge_len;
        (void)random->fill(random->context, b->hub_key, sizeof b->hub_key);
        name_operation(b, script);
    }
    run(b, to_hub ? client_options.send_command : client_options.command);
}

void client_tell(const struct client_bench *b, char *text, size_t size)
{
    const struct client_seen *s = &b->seen;
    char end[64] = "";
    if (s->ran && s->stopped) {
        snprintf(end, sizeof end, ", had to be ended after %llu ms", (unsigned long long)s->ms);
    } else if (s->ran && s->signal != 0) {
        snprintf(end, sizeof end, ", ended by signal %d", s->signal);
    } else if (s->ran) {
        snprintf(end, sizeof end, ", exit code %d after %llu ms", s->exit_code, (unsigned long long)s->ms);
    }
    char large[64] = "";
    if (s->too_large > 0) {
        snprintf(large, sizeof large, ", %u larger than this suite reads", s->too_large);
    }
    snprintf(text, size, "%u requests on %u connections (%u unsigned, %u with a token, %u polls%s)%s%s%s",
             s->requests, s->connections, s->challenges, s->tokens, s->polls, large, end,
             s->said[0] != 0 ? ": " : "", s->said);
}

/* ---- The verdict ---- */

/* What the case depends on must hold: the right path, up to where its wrong answer comes. */
static bool stands(struct conformance *c, bool holds, const char *what, const char *told)
{
    const char *before = conformance_stand_on(c, RIGHT_PATH);
    (void)conformance_check(c, holds, "%s: %s", what, told);
    conformance_stand_back(c, before);
    return holds;
}

static bool came(struct conformance *c, const struct client_bench *b)
{
    const struct client_seen *s = &b->seen;
    if (!s->ran && s->requests == 0 && s->connections == 0 && s->refused == 0) {
        conformance_skip(
            c, "no client came within %llu seconds: without --device-command, start it again and again",
            (unsigned long long)client_options.timeout_seconds);
        return false;
    }
    return true;
}

/* What holds for every client in every case. */
static bool behaves(struct conformance *c, struct client_bench *b, const char *told)
{
    const struct client_seen *s = &b->seen;
    return came(c, b) && conformance_check(c, s->signal == 0, "the client crashed: %s", told) &&
           conformance_check(c, !s->timed_out, "the client did not stop: %s", told) &&
           conformance_check(c, b->usual.no_http || s->faults[CLIENT_SHAPE_HTTP][0] == 0, "%s: %s",
                             s->faults[CLIENT_SHAPE_HTTP], told) &&
           conformance_check(c, b->usual.misroutes || s->faults[CLIENT_SHAPE_ROUTE][0] == 0,
                             "a wrong request: %s: %s", s->faults[CLIENT_SHAPE_ROUTE], told) &&
           conformance_check(c, s->elsewhere_tokens == 0, "its token went to another origin: %s", told) &&
           conformance_check(c, !s->injected, "the service could add a header of its own to a request: %s",
                             told) &&
           conformance_check(c, s->challenges <= CHALLENGES_MAX, "it asks for ever: %s", told);
}

static const char *token_fault(const struct client_seen *s)
{
    for (int i = CLIENT_SHAPE_TOKEN; i < CLIENT_SHAPE_EXPIRY; i++) {
        if (s->faults[i][0] != 0) {
            return s->faults[i];
        }
    }
    return "";
}

static bool registers(struct conformance *c, const struct client_bench *b, const char *told)
{
    const struct client_seen *s = &b->seen;
    const bool asks_on = b->usual.asks_on && strcmp(c->now->id, RIGHT_PATH) != 0;
    return conformance_check(c, s->challenges >= 1, "it did not register: %s", told) &&
           conformance_check(c, s->wrong_tokens == 0, "a wrong token: %s: %s", token_fault(s), told) &&
           conformance_check(c, s->tokens >= 1, "the challenge was not answered with a token: %s", told) &&
           conformance_check(c, s->assigned, "it did not fetch its assignment: %s", told) &&
           conformance_check(c, asks_on || s->after == 0, "%u requests after the assignment: %s", s->after,
                             told) &&
           conformance_check(c, !s->ran || s->exit_code == 0, "it was assigned, and failed: %s", told);
}

static bool gives_up(struct conformance *c, struct client_bench *b, const uint8_t before[CRYPTO_SHA256_SIZE],
                     const char *told)
{
    const struct client_seen *s = &b->seen;
    bool refused_challenge = b->script->stage == CLIENT_CHALLENGE;
    /* Nothing in an old challenge is wrong: what matters is that the client takes the refusal of its token. */
    unsigned tokens = b->script->blob.fault == CLIENT_BLOB_REPLAYED ? CHALLENGES_MAX : 0;
    return stands(c, s->special > 0, "the client did not get that far", told) &&
           conformance_check(c, !refused_challenge || s->tokens <= tokens, "it answered with a token: %s",
                             told) &&
           conformance_check(c, !s->ran || s->exit_code != 0, "it takes this for success: %s", told) &&
           client_kept_files(b, before, told);
}

static bool waits(struct conformance *c, const struct client_bench *b, const char *told)
{
    const struct client_seen *s = &b->seen;
    return stands(c, s->special > 0, "the client did not get that far", told) &&
           conformance_check(c, s->pause_ms == 0 || s->pause_ms >= b->script->wait_ms,
                             "it tried again after %llu ms: %s", (unsigned long long)s->pause_ms, told);
}

static bool sends(struct conformance *c, const struct client_bench *b, const char *told)
{
    const struct client_seen *s = &b->seen;
    return conformance_check(c, s->telemetry >= 1, "no telemetry came: %s", told) &&
           conformance_check(c, s->wrong_tokens == 0, "a wrong token: %s: %s", token_fault(s), told) &&
           conformance_check(c, s->exit_code == 0, "it failed: %s", told);
}

/* Its message counted as right, and got the wrong answer. */
static bool came_to_hub(struct conformance *c, bool came, const char *told)
{
    const char *before = conformance_stand_on(c, "DEV-S10-001");
    (void)conformance_check(c, came, "no right message came to the hub: %s", told);
    conformance_stand_back(c, before);
    return came;
}

static bool judge(struct conformance *c, struct client_bench *b, const uint8_t before[CRYPTO_SHA256_SIZE],
                  const char *told)
{
    const struct client_seen *s = &b->seen;
    bool success = s->ran ? s->exit_code == 0 && !s->stopped : s->assigned;
    switch (b->script->expected) {
    case CLIENT_REGISTERS:
        return registers(c, b, told);
    case CLIENT_GIVES_UP:
        return gives_up(c, b, before, told);
    case CLIENT_SURVIVES:
        return success ? registers(c, b, told)
                       : stands(c, s->special > 0, "the client did not get that far", told);
    case CLIENT_WAITS:
        return waits(c, b, told);
    case CLIENT_PAUSES:
        return registers(c, b, told) && waits(c, b, told);
    case CLIENT_SENDS:
        return sends(c, b, told);
    case CLIENT_KEEPS:
        return came_to_hub(c, s->special > 0, told) &&
               conformance_check(c, s->exit_code != 0, "it takes this for success: %s", told);
    }
    return false;
}

/* ---- A case ---- */

static const struct client_script *find_script(const char *id)
{
    static const struct client_script *const tables[] = {client_scripts_register, client_scripts_blob,
                                                         client_scripts_http, client_scripts_assign,
                                                         client_scripts_hub};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct client_script *s = tables[i]; s->id != NULL; s++) {
            if (strcmp(s->id, id) == 0) {
                return s;
            }
        }
    }
    return NULL;
}

static bool succeeded(const struct client_bench *b)
{
    return b->seen.assigned && b->seen.wrong_tokens == 0 && (!b->seen.ran || b->seen.exit_code == 0);
}

/* Record what was seen when nothing was wrong. */
static void note_usual(struct client_bench *b)
{
    struct client_usual *u = &b->usual;
    u->misroutes |= b->seen.faults[CLIENT_SHAPE_ROUTE][0] != 0;
    u->no_http |= b->seen.faults[CLIENT_SHAPE_HTTP][0] != 0;
    u->asks_on |= b->seen.after > 0;
    u->works |= succeeded(b);
    u->tried = true;
    client_tell(b, u->told, sizeof u->told);
}

/* The right path must still work. Returns: whether it does. */
static bool recovers(struct client_bench *b)
{
    char told[512];
    client_play(b, NULL, 0);
    client_tell(b, told, sizeof told);
    note_usual(b);
    return conformance_check(b->c, succeeded(b), "a registration with nothing wrong in it fails: %s", told);
}

/* Every script changes one thing in a registration in which everything else is right. So that must work; it also makes
 * files that can be changed, a challenge that can be replayed, a hub key that telemetry can be signed with. */
static bool prepare(struct client_bench *b, const struct client_script *script)
{
    if (strcmp(script->id, RIGHT_PATH) == 0) {
        return true;
    }
    if (b->usual.tried && !b->usual.works) {
        return stands(b->c, false, "a registration with nothing wrong in it fails", b->usual.told);
    }
    bool replay = script->blob.fault == CLIENT_BLOB_REPLAYED && b->challenge_len == 0;
    const char *before = conformance_stand_on(b->c, RIGHT_PATH);
    bool ready = (b->usual.works && !replay && script->stage != CLIENT_HUB) || recovers(b);
    conformance_stand_back(b->c, before);
    return ready && b->c->missing == NULL;
}

/* Does the client change its files whenever it is refused? It is refused once more to find out. */
static bool usually_writes(struct client_bench *b)
{
    uint8_t before[CRYPTO_SHA256_SIZE], after[CRYPTO_SHA256_SIZE];
    if (!b->usual.refusal_tried) {
        client_files(b, before);
        client_play(b, find_script(REFUSAL), 0);
        client_files(b, after);
        b->usual.writes = memcmp(before, after, sizeof after) != 0;
        b->usual.refusal_tried = true;
    }
    return b->usual.writes;
}

bool client_kept_files(struct client_bench *b, const uint8_t before[CRYPTO_SHA256_SIZE], const char *told)
{
    uint8_t after[CRYPTO_SHA256_SIZE];
    client_files(b, after);
    bool kept = memcmp(before, after, sizeof after) == 0;
    if (!kept && strcmp(b->c->now->id, REFUSAL) != 0 && usually_writes(b)) {
        conformance_note(b->c, "it changes its files whenever it is refused: " REFUSAL " is about that");
        return true;
    }
    return conformance_check(b->c, kept, "it failed and changed its files: %s", told);
}

static bool lacks_command(struct conformance *c, const struct client_script *script)
{
    if (script->stage == CLIENT_HUB &&
        (client_options.send_command == NULL || client_options.command == NULL)) {
        conformance_skip(c, "telemetry needs --device-command and --device-send-command");
    } else if (script->expected == CLIENT_WAITS && client_options.command == NULL) {
        conformance_skip(c, "only with --device-command: the suite ends the client itself");
    }
    return c->skipped;
}

void client_run_script(struct conformance *c)
{
    struct client_bench *b = c->suite_state;
    const struct client_script *script = find_script(c->now->id);
    uint8_t before[CRYPTO_SHA256_SIZE];
    char told[512];
    (void)conformance_check(c, script != NULL, "the suite has no script for this case");
    if (script == NULL || lacks_command(c, script) || !prepare(b, script)) {
        return;
    }
    unsigned variants = script->variants == 0 ? 1 : script->variants;
    for (unsigned variant = 0; variant < variants; variant++) {
        client_files(b, before);
        client_play(b, script, variant);
        client_tell(b, told, sizeof told);
        if (variants > 1) {
            size_t len = strlen(told);
            snprintf(told + len, sizeof told - len, " [variant %u of %u]", variant + 1, variants);
        }
        bool right_path = strcmp(script->id, RIGHT_PATH) == 0;
        bool good = behaves(c, b, told) && judge(c, b, before, told);
        if (right_path) {
            note_usual(b);
        }
        if (!good) {
            return;
        }
    }
    conformance_note(c, "%s", told);
    uint8_t dice = 1;
    (void)c->random.fill(c->random.context, &dice, sizeof dice);
    bool went_wrong = script->expected == CLIENT_GIVES_UP || script->expected == CLIENT_SURVIVES;
    if (went_wrong && client_options.command != NULL && dice % RECOVERY_SAMPLE == 0) {
        (void)recovers(b);
    }
}

/* How many requests there were that can have this shape. */
static unsigned requests_of(const struct client_seen *s, enum client_shape shape)
{
    return shape == CLIENT_SHAPE_POLL ? s->polls : shape >= CLIENT_SHAPE_SAME ? s->tokens : s->requests;
}

/* The shape of the requests on the right path: each kind has a case. */
void client_run_shape(struct conformance *c)
{
    static const struct {
        const char *id;
        enum client_shape shape;
    } rows[] = {
        {"DEV-S04-001", CLIENT_SHAPE_ROUTE},     {"DEV-S04-002", CLIENT_SHAPE_VERSION},
        {"DEV-S04-003", CLIENT_SHAPE_HOST},      {"DEV-S04-004", CLIENT_SHAPE_TYPE},
        {"DEV-S04-005", CLIENT_SHAPE_BODY},      {"DEV-S04-006", CLIENT_SHAPE_EK},
        {"DEV-S04-007", CLIENT_SHAPE_SRK},       {"DEV-S04-008", CLIENT_SHAPE_FIRST},
        {"DEV-S08-001", CLIENT_SHAPE_TOKEN},     {"DEV-S08-002", CLIENT_SHAPE_AUDIENCE},
        {"DEV-S08-003", CLIENT_SHAPE_SIGNATURE}, {"DEV-S08-004", CLIENT_SHAPE_EXPIRY},
        {"DEV-S08-005", CLIENT_SHAPE_KEY_NAME},  {"DEV-S08-006", CLIENT_SHAPE_SAME},
        {"DEV-S09-001", CLIENT_SHAPE_POLL},      {"DEV-S04-010", CLIENT_SHAPE_SRK_CHOICE},
    };
    struct client_bench *b = c->suite_state;
    char told[512];
    client_play(b, NULL, 0);
    client_tell(b, told, sizeof told);
    note_usual(b);
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof rows[0] && strcmp(rows[i].id, c->now->id) != 0) {
        i++;
    }
    const char *fault = b->seen.faults[rows[i].shape];
    if (!came(c, b) ||
        !stands(c, requests_of(&b->seen, rows[i].shape) > 0, "it did not get that far", told)) {
        return;
    }
    if (rows[i].shape == CLIENT_SHAPE_ROUTE) {
        conformance_check(c, b->seen.faults[CLIENT_SHAPE_HTTP][0] == 0, "%s: %s",
                          b->seen.faults[CLIENT_SHAPE_HTTP], told);
    }
    conformance_check(c, fault[0] == 0, "%s: %s", fault, told);
    conformance_note(c, "%s", told);
}
