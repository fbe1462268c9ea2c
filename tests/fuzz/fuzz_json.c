/* SPDX-License-Identifier: MIT */
/* JSON: every value of a text that has been accepted can be walked and named, and what is decoded is encoded to the
 * same. */
#include "crypto/limits.h"
#include "dps/json.h"
#include "dps/text.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_string(struct span value)
{
    uint8_t *text = malloc(value.len);
    uint8_t *again = malloc(8 * value.len);
    HOLDS(text != NULL && again != NULL);
    size_t len = 0;
    struct tpm2_writer w = tpm2_writer_over(again, 8 * value.len);
    if (dps_json_string(value, text, value.len, &len) == 0) {
        struct span root;
        size_t again_len = 0;
        HOLDS(len <= value.len && memchr(text, 0, len) == NULL && dps_utf8_valid(span_of(text, len)));
        dps_write_json_string(&w, span_of(text, len));
        HOLDS(w.error == 0 && dps_json_check(tpm2_written(&w), &root) == 0);
        HOLDS(dps_json_string(root, again, w.len, &again_len) == 0); /* in place */
        HOLDS(span_equal(span_of(text, len), span_of(again, again_len)));
        if (len > 0) {
            HOLDS(dps_json_string(value, text, len - 1, &again_len) == DPS_E_SPACE && again_len == 0);
        }
    }
    free(text);
    free(again);
}

static void walk(struct span value, unsigned depth);

static void walk_members(struct span container, bool object, unsigned depth)
{
    struct span name;
    struct span value;
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

static void walk(struct span value, unsigned depth)
{
    struct span found;
    uint64_t number = 0;
    const enum dps_json_kind kind = dps_json_kind(value);
    HOLDS(kind != DPS_JSON_NONE && depth <= DPS_JSON_DEPTH_MAX + 1);
    HOLDS(dps_json_check(value, &found) == 0 && span_equal(found, value));
    const int error = dps_json_uint(value, UINT64_MAX, &number);
    HOLDS(error != 0 || kind == DPS_JSON_NUMBER);
    if (kind == DPS_JSON_OBJECT || kind == DPS_JSON_ARRAY)
        walk_members(value, kind == DPS_JSON_OBJECT, depth);
    if (kind == DPS_JSON_STRING)
        check_string(value);
    const int member = dps_json_member(value, "a", &found);
    HOLDS(member == 0 ? kind == DPS_JSON_OBJECT && fuzz_views(found, value) : found.len == 0);
    HOLDS(member != DPS_E_NOT_FOUND || kind == DPS_JSON_OBJECT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span value;
    const int error = dps_json_check(span_of(data, size), &value);
    HOLDS(error == 0 || error == DPS_E_FORMAT || error == DPS_E_LIMIT);
    HOLDS(error == 0 || value.len == 0);
    if (error == 0) {
        HOLDS(fuzz_views(value, span_of(data, size)));
        walk(value, 1);
    }
    return 0;
}
