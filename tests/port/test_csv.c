/* SPDX-License-Identifier: MIT */
#include "port/posix/admin/csv.h"
#include "tests/unit/test.h"
#include <string.h>

/* A line's fields, joined with '|'; or the reason why there are none. */
static const char *fields_with(char separator, const char *line)
{
    static char joined[512];
    uint8_t copy[256];
    struct csv record;
    const char *why = "no reason";
    size_t len = strlen(line);
    memcpy(copy, line, len);
    if (csv_read(copy, len, separator, &record, &why) != 0) {
        return why;
    }
    joined[0] = 0;
    for (size_t i = 0; i < record.count; i++) {
        if (i > 0) {
            strcat(joined, "|");
        }
        strncat(joined, (const char *)record.fields[i].p, record.fields[i].len);
    }
    return joined;
}

static const char *fields(const char *line)
{
    return fields_with(',', line);
}

static int csv_good(void)
{
    static const char *const lines[][2] = {
        {"", ""},
        {"a", "a"},
        {"a,b", "a|b"},
        {",", "|"},
        {",,", "||"},
        {"a,", "a|"},
        {"a\r", "a"},
        {"a,\r", "a|"},
        {"\"a\"", "a"},
        {"\"\"", ""},
        {"\"\",\"\"", "|"},
        {"\"a,b\",c", "a,b|c"},
        {"\"a\"\"b\"", "a\"b"},
        {"\"\"\"\"", "\""},
        {"\"\"\"a\"\"\",x", "\"a\"|x"},
        {"\"a\"\r", "a"},
        {" a , b ", " a | b "},
        {"a\tb", "a\tb"},
        {"\xC3\xA4,\xE2\x82\xAC", "\xC3\xA4|\xE2\x82\xAC"},
        {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16"},
        {" \"a\" ,\t\"b\"", "a|b"}, /* blanks around quotes */
        {"\"a\r\nb\",c", "a\r\nb|c"},
        {"\xFF,b", "\xFF|b"}, /* whoever knows the column checks the encoding */
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (strcmp(fields(lines[i][0]), lines[i][1]) != 0) {
            printf("# %s: %s\n", lines[i][0], fields(lines[i][0]));
        }
        CHECK_EQUAL(fields(lines[i][0]), lines[i][1]);
    }
    return 0;
}

static int csv_bad(void)
{
    static const char *const lines[][2] = {
        {"\"", "does not end"},
        {"\"a", "does not end"},
        {"a,\"b", "does not end"},
        {"\"a\"\"", "does not end"},
        {"\"a\" x", "after a closing quote"},
        {"\"a\"b", "after a closing quote"},
        {"\"a\"b\"", "after a closing quote"},
        {"a\"b", "quote inside"},
        {"a\"", "quote inside"},
        {"x \"a\"", "quote inside"},
        {"a\rb", "control"},
        {"a\r\r", "control"},
        {"a\nb", "control"},
        {"\x01", "control"},
        {"a\x7F", "control"},
        {"\"\x01\"", "control"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        CHECK(strstr(fields(lines[i][0]), lines[i][1]) != NULL);
    }
    uint8_t zero[3] = {'a', 0, 'b'};
    struct csv record;
    const char *why;
    CHECK(csv_read(zero, sizeof zero, ',', &record, &why) == BYTES_E_FORMAT);
    uint8_t many[CSV_FIELDS_MAX]; /* separators: one field more */
    memset(many, ',', sizeof many);
    CHECK(csv_read(many, sizeof many, ',', &record, &why) == BYTES_E_LIMIT);
    CHECK(csv_read(many, sizeof many - 1, ',', &record, &why) == 0);
    uint8_t open[] = "a,\"b\nc";
    CHECK(csv_read(open, sizeof open - 1, ',', &record, &why) == BYTES_E_MORE);
    return 0;
}

static int csv_separators(void)
{
    CHECK(strcmp(fields_with(';', "a;b,c;\"d;e\""), "a|b,c|d;e") == 0);
    CHECK(strcmp(fields_with('\t', "a\tb c\t\"d\te\"\t"), "a|b c|d\te|") == 0);
    CHECK_EQUAL(fields_with('|', "a;b"), "a;b");
    return 0;
}

/* Every line of a few significant characters: it is read or refused, never past its end, and what is written
 * is read as what it was. */
static int csv_all_short(void)
{
    static const char letters[] = "a\",\r";
    for (unsigned n = 0; n < 4096; n++) {
        for (size_t len = 0; len <= 6; len++) {
            uint8_t line[6], written[64];
            struct csv record, again;
            const char *why;
            unsigned rest = n;
            for (size_t i = 0; i < len; i++, rest /= 4) {
                line[i] = (uint8_t)letters[rest % 4];
            }
            if (csv_read(line, len, ',', &record, &why) != 0) {
                continue;
            }
            FILE *out = fmemopen(written, sizeof written, "w");
            CHECK(out != NULL && record.count > 0);
            for (size_t i = 0; i < record.count; i++) {
                if (i > 0) {
                    fputc(',', out);
                }
                csv_write(out, record.fields[i]);
            }
            size_t size = (size_t)ftell(out);
            CHECK(fclose(out) == 0);
            CHECK(csv_read(written, size, ',', &again, &why) == 0 && again.count == record.count);
            for (size_t i = 0; i < record.count; i++) {
                const struct bytes field = record.fields[i];
                CHECK_EQUAL(again.fields[i].len, field.len);
                CHECK(memchr(field.p, '\r', field.len) != NULL || bytes_equal_public(again.fields[i], field));
            }
        }
    }
    return 0;
}

static int csv_write_harmless(void)
{
    char text[64] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    CHECK(out != NULL);
    csv_write(out, bytes_of("a\n\x1B[0m\x7F", 7));
    fputc('|', out);
    csv_write(out, bytes_of("\xFFx", 2));
    fputc('|', out);
    csv_write(out, bytes_of("\xC3\xA4", 2));
    CHECK(fclose(out) == 0);
    CHECK(strcmp(text, "a??[0m?|?x|\xC3\xA4") == 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"csv_good", csv_good},
        {"csv_bad", csv_bad},
        {"csv_separators", csv_separators},
        {"csv_all_short", csv_all_short},
        {"csv_write_harmless", csv_write_harmless},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
