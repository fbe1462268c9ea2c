/* SPDX-License-Identifier: MIT */
/* One record of separated values: what was read, written and read again is the same, but for what writing makes
 * harmless. */
#include "dps/protocol/text.h"
#include "port/posix/admin/csv.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_again(const struct csv *record)
{
    char *line = NULL;
    size_t len = 0;
    struct csv again;
    const char *why = NULL;
    FILE *out = open_memstream(&line, &len);
    HOLDS(out != NULL);
    for (size_t i = 0; i < record->count; i++) {
        if (i > 0) {
            fputc(',', out);
        }
        csv_write(out, record->fields[i]);
    }
    HOLDS(fclose(out) == 0);
    HOLDS(csv_read((uint8_t *)line, len, ',', &again, &why) == 0 && again.count == record->count);
    for (size_t i = 0; i < record->count; i++) {
        const struct bytes field = record->fields[i];
        const bool harmless = dps_utf8_valid(field) && memchr(field.p, '\n', field.len) == NULL &&
                              memchr(field.p, '\r', field.len) == NULL;
        HOLDS(again.fields[i].len == field.len && (!harmless || bytes_equal_public(again.fields[i], field)));
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char separators[] = ",;\t|";
    struct csv record;
    const char *why = NULL;
    struct bytes input = bytes_of(data, size);
    const char separator = separators[fuzz_byte(&input) % 4];
    uint8_t *line = fuzz_copy(input);
    size = input.len;
    const int error = csv_read(line, size, separator, &record, &why);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_LIMIT || error == BYTES_E_MORE);
    HOLDS(error == 0 ? record.count > 0 && record.count <= CSV_FIELDS_MAX : why != NULL && why[0] != 0);
    for (size_t i = 0; error == 0 && i < record.count; i++) {
        HOLDS(fuzz_views(record.fields[i], bytes_of(line, size)));
    }
    if (error == 0) {
        check_again(&record);
    }
    free(line);
    return 0;
}
