/* SPDX-License-Identifier: MIT */
/* JSON: every value of a text that has been accepted can be walked and named, and what is decoded is encoded to the
 * same. */
#include "dps/protocol/json.h"
#include "dps/protocol/limits.h"
#include "dps/protocol/text.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_string(struct bytes value)
{
    uint8_t *text = malloc(value.len);
    uint8_t *again = malloc(8 * value.len);
    HOLDS(text != NULL && again != NULL);
    size_t len = 0;
    struct bytes_writer w = bytes_writer_over(again, 8 * value.len);
    if (dps_json_string(value, text, value.len, &len) == 0) {
        struct bytes root;
        size_t again_len = 0;
        HOLDS(len <= value.len && memchr(text, 0, len) == NULL && dps_utf8_valid(bytes_of(text, len)));
        dps_write_json_string(&w, bytes_of(text, len));
        HOLDS(w.error == 0 && dps_json_check(bytes_written(&w), &root) == 0);
        HOLDS(dps_json_string(root, again, w.len, &again_len) == 0); /* in place */
        HOLDS(bytes_equal_public(bytes_of(text, len), bytes_of(again, again_len)));
        if (len > 0) {
            HOLDS(dps_json_string(value, text, len - 1, &again_len) == BYTES_E_SPACE && again_len == 0);
        }
    }
    free(text);
    free(again);
}

static void walk(struct bytes value, unsigned depth);

static void walk_members(struct bytes container, bool object, unsigned depth)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    size_t before = 0;
    while (dps_json_next(container, &cursor, &name, &value)) {
        HOLDS(cursor > before && cursor <= container.len);
        HOLDS(fuzz_views(name, container) && fuzz_views(value, container));
        HOLDS(object || name.len == 0);
        before = cursor;
        walk(value, depth + 1);
    }
}

static void walk(struct bytes value, unsigned depth)
{
    struct bytes found;
    uint64_t number = 0;
    const enum dps_json_kind kind = dps_json_kind(value);
    HOLDS(kind != DPS_JSON_NONE && depth <= DPS_JSON_DEPTH_MAX + 1);
    HOLDS(dps_json_check(value, &found) == 0 && bytes_equal_public(found, value));
    const int error = dps_json_uint(value, UINT64_MAX, &number);
    HOLDS(error != 0 || kind == DPS_JSON_NUMBER);
    if (kind == DPS_JSON_OBJECT || kind == DPS_JSON_ARRAY) {
        walk_members(value, kind == DPS_JSON_OBJECT, depth);
    }
    if (kind == DPS_JSON_STRING) {
        check_string(value);
    }
    const int member = dps_json_member(value, "a", &found);
    HOLDS(member == 0 ? kind == DPS_JSON_OBJECT && fuzz_views(found, value) : found.len == 0);
    HOLDS(member != BYTES_E_NOT_FOUND || kind == DPS_JSON_OBJECT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes value;
    const int error = dps_json_check(bytes_of(data, size), &value);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_LIMIT);
    HOLDS(error == 0 || value.len == 0);
    if (error == 0) {
        HOLDS(fuzz_views(value, bytes_of(data, size)));
        walk(value, 1);
    }
    return 0;
}
