/* SPDX-License-Identifier: MIT */
/* Shared access signatures. The tokens are what each client of the real service would send, made with Python's hmac
 * and urllib: key 32 times 22, expiry 1700000000. They differ in what they percent-encode, in which case, and in the
 * order. */
#include "crypto/crypto.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/unit/test.h"
#include <string.h>

#define EXPIRY 1700000000u
#define DEVICE "0ne000ABCDE/registrations/dev1"
#define DEVICE_SR "0ne000ABCDE%2Fregistrations%2Fdev1"
#define HUB "hub.example/devices/dev1"
#define HUB_SR "hub.example%2Fdevices%2Fdev1"
#define DEVICE_SIG "cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaik%3D"
#define SCHEME "SharedAccessSignature "
#define TOKEN SCHEME "sr=" DEVICE_SR "&sig=" DEVICE_SIG "&se=1700000000"

static const uint8_t signature[32] = {0x70, 0xa5, 0xe1, 0x1f, 0xe6, 0x40, 0x58, 0x50, 0x7e, 0xc1, 0x0a,
                                      0xd4, 0x2c, 0x05, 0xaa, 0x22, 0x90, 0x9f, 0x4c, 0x00, 0x4b, 0x5a,
                                      0x66, 0x14, 0x83, 0x87, 0x89, 0x6c, 0x4b, 0xcc, 0x6a, 0x29};

static const struct {
    const char *client;
    const char *audience;
    const char *token;
    const char *skn;
} clients[] = {
    {"C SDK", DEVICE,
     SCHEME "sr=0ne000ABCDE%2fregistrations%2fdev1"
            "&sig=zyxwoMtJdi7MJs7%2fVYOrgTGgJAWT2ZGNzdJfuHZRMqY%3d&se=1700000000&skn=registration",
     "registration"},
    {"Node SDK", DEVICE, SCHEME "sr=" DEVICE_SR "&sig=" DEVICE_SIG "&skn=registration&se=1700000000",
     "registration"},
    {"C# SDK", DEVICE, TOKEN "&skn=registration", "registration"},
    {"Java SDK: sr plain, skn empty", DEVICE,
     SCHEME "sr=" DEVICE "&sig=Z3VJ3vaZprVQNNFIW3D9F3iXMWXQlEHVs2tqN54FNZI%3D&se=1700000000&skn=", ""},
    {"iot-identity-service: sr in lower case", DEVICE,
     SCHEME "sr=0ne000abcde/registrations/dev1"
            "&sig=nAdDqY4xe%2BwjNhNgS9ZJFi4cjfcW504z1gl9Jm2ofBg%3D&se=1700000000&skn=registration",
     "registration"},
    {"C SDK at the hub: sr plain", HUB,
     SCHEME "sr=" HUB "&sig=2zIxiucofA0rPF%2babZN2S%2boA2NbJRKM8JPHQWzxJkL8%3d&se=1700000000&skn=", ""},
    {"Node SDK at the hub", HUB,
     SCHEME "sr=" HUB_SR "&sig=Qx1dQslMU1dRmK45JcQkTxmLV3FySsGzgr5J7kIeJwg%3D&se=1700000000", ""},
    {"C# SDK at the hub: the deviceId encoded twice", "hub.example/devices/dev#1",
     SCHEME "sr=hub.example%2Fdevices%2Fdev%25231"
            "&sig=14bIc8Gu99j5ARFL7DB8Gf1lT%2BSZxTH8JhU5ZHRMLNU%3D&se=1700000000",
     ""},
    {"Java SDK at the hub", HUB,
     SCHEME "sig=Qx1dQslMU1dRmK45JcQkTxmLV3FySsGzgr5J7kIeJwg%3D&se=1700000000&sr=" HUB_SR, ""},
};

static struct bytes key(void)
{
    static const uint8_t bytes[32] = {0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
                                      0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,
                                      0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22};
    return bytes_of(bytes, sizeof bytes);
}

/* Is it a token for the device's audience, signed with key()? */
static bool is_good(struct bytes token)
{
    struct dps_sas sas;
    return dps_sas_parse(token, &sas) == 0 && sas.expiry == EXPIRY && dps_sas_signed_with(&sas, key()) &&
           dps_sas_audience_is(&sas, bytes_of_text(DEVICE));
}

static int parse_text(const char *token)
{
    struct dps_sas sas;
    return dps_sas_parse(bytes_of_text(token), &sas);
}

static int s08_string_to_sign(void)
{
    uint8_t text[128];
    uint8_t mac[32];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_sas_write_string_to_sign(&w, bytes_of_text(DEVICE_SR), EXPIRY);
    const struct bytes written = bytes_written(&w);
    CHECK(bytes_equal_public(written, bytes_of_text(DEVICE_SR "\n1700000000")));
    crypto_hmac_sha256(key(), &written, 1, mac);
    CHECK(memcmp(mac, signature, sizeof mac) == 0);
    return 0;
}

static int s08_token(void)
{
    uint8_t text[256];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_sas_write_token(&w, bytes_of_text(DEVICE_SR), signature, EXPIRY, bytes_of(NULL, 0));
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of_text(TOKEN)));
    w = bytes_writer_over(text, sizeof text);
    dps_sas_write_token(&w, bytes_of_text(DEVICE_SR), signature, EXPIRY, bytes_of_text("registration"));
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of_text(TOKEN "&skn=registration")));
    return 0;
}

static int token_needs_its_room(void)
{
    uint8_t text[sizeof TOKEN];
    for (size_t room = 0; room < sizeof TOKEN - 1; room++) {
        struct bytes_writer w = bytes_writer_over(text, room);
        dps_sas_write_token(&w, bytes_of_text(DEVICE_SR), signature, EXPIRY, bytes_of(NULL, 0));
        CHECK(w.error == BYTES_E_SPACE && bytes_written(&w).len == 0);
    }
    return 0;
}

static int s08_tokens_of_every_client(void)
{
    uint8_t other[32] = {0x23};
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        struct dps_sas sas;
        CHECK_EQUAL(dps_sas_parse(bytes_of_text(clients[i].token), &sas), 0);
        CHECK_EQUAL(sas.expiry, EXPIRY);
        CHECK(bytes_equal_public(sas.skn, bytes_of_text(clients[i].skn)));
        CHECK(dps_sas_signed_with(&sas, key()));
        CHECK(!dps_sas_signed_with(&sas, bytes_of(other, sizeof other)));
        CHECK(dps_sas_audience_is(&sas, bytes_of_text(clients[i].audience)));
    }
    return 0;
}

static int audiences_are_whole(void)
{
    struct dps_sas sas;
    CHECK_EQUAL(dps_sas_parse(bytes_of_text(TOKEN), &sas), 0);
    CHECK(dps_sas_audience_is(&sas, bytes_of_text("0NE000abcde/Registrations/DEV1")));
    CHECK(!dps_sas_audience_is(&sas, bytes_of_text("0ne000ABCDE/registrations/dev")));
    CHECK(!dps_sas_audience_is(&sas, bytes_of_text("0ne000ABCDE/registrations/dev10")));
    CHECK(!dps_sas_audience_is(&sas, bytes_of_text("0ne000ABCDE/registrations/dev2")));
    CHECK(!dps_sas_audience_is(&sas, bytes_of_text("0ne000ABCDE")));
    CHECK(!dps_sas_audience_is(&sas, bytes_of_text("")));
    return 0;
}

/* An encoded zero byte, a broken escape and a text longer than any audience. */
static int audiences_that_are_none(void)
{
    static const char *const bad[] = {"dev%00", "dev%", "dev%2", "dev%2G", "dev%2500", "%"};
    char long_sr[1024];
    struct dps_sas sas = {.expiry = EXPIRY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sas.sr = bytes_of_text(bad[i]);
        CHECK(!dps_sas_audience_is(&sas, bytes_of_text("dev")));
    }
    memset(long_sr, 'a', sizeof long_sr);
    sas.sr = bytes_of(long_sr, sizeof long_sr);
    CHECK(!dps_sas_audience_is(&sas, bytes_of(long_sr, sizeof long_sr)));
    return 0;
}

static int members_missing_or_doubled(void)
{
    static const char *const bad[] = {
        "",
        "SharedAccessSignature",
        SCHEME,
        "Bearer sr=" DEVICE_SR "&sig=" DEVICE_SIG "&se=1700000000",
        SCHEME "sig=" DEVICE_SIG "&se=1700000000",
        SCHEME "sr=" DEVICE_SR "&se=1700000000",
        SCHEME "sr=" DEVICE_SR "&sig=" DEVICE_SIG,
        SCHEME "sr=&sig=" DEVICE_SIG "&se=1700000000",
        SCHEME "sr=" DEVICE_SR "&sig=&se=1700000000",
        TOKEN "&sr=" DEVICE_SR,
        TOKEN "&sig=" DEVICE_SIG,
        TOKEN "&se=1700000000",
        TOKEN "&skn=a&skn=b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQUAL(parse_text(bad[i]), BYTES_E_FORMAT);
    }
    CHECK_EQUAL(parse_text(TOKEN "&other=1&other=2"), 0);
    CHECK_EQUAL(parse_text("sharedaccesssignature sr=a&sig=" DEVICE_SIG "&se=1"), 0);
    return 0;
}

static int expiries_that_are_none(void)
{
#define WITH_EXPIRY(se) SCHEME "sr=a&sig=" DEVICE_SIG "&se=" se
    static const char *const bad[] = {
        WITH_EXPIRY(""),
        WITH_EXPIRY("-1"),
        WITH_EXPIRY("+1"),
        WITH_EXPIRY("01"),
        WITH_EXPIRY("1.5"),
        WITH_EXPIRY("1 "),
        WITH_EXPIRY("0x10"),
        WITH_EXPIRY("9e9"),
        WITH_EXPIRY("9223372036854775808"), /* 2^63 */
        WITH_EXPIRY("18446744073709551616"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQUAL(parse_text(bad[i]), BYTES_E_FORMAT);
    }
    CHECK_EQUAL(parse_text(WITH_EXPIRY("0")), 0);
    CHECK_EQUAL(parse_text(WITH_EXPIRY("9223372036854775807")), 0);
    return 0;
}

static int signatures_that_are_none(void)
{
#define WITH_SIGNATURE(sig) SCHEME "sr=a&se=1&sig=" sig
    static const char *const bad[] = {
        WITH_SIGNATURE("AAAA"),
        WITH_SIGNATURE("cKXhH-ZAWFB-wQrULAWqIpCfTABLWmYUg4eJbEvMaik%3D"),          /* URL alphabet */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaik"),         /* no padding */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMail%3D"),      /* bits after the end */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaik%3D%3D"),   /* too much padding */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaikA%3D%3D"),  /* 33 bytes */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMag%3D%3D"),    /* 31 bytes */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaik%3"),       /* half an escape */
        WITH_SIGNATURE("cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaik%3D%00"),   /* zero byte */
        WITH_SIGNATURE("cKXhH%20ZAWFB%20wQrULAWqIpCfTABLWmYUg4eJbEvMaik%3D"),      /* blanks */
        WITH_SIGNATURE("cKXhH%252BZAWFB%252BwQrULAWqIpCfTABLWmYUg4eJbEvMaik%253D") /* encoded twice */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQUAL(parse_text(bad[i]), BYTES_E_FORMAT);
    }
    /* Only what base64 needs must be encoded: some clients leave '+', '/' and '=' as they are. */
    CHECK_EQUAL(parse_text(WITH_SIGNATURE("cKXhH+ZAWFB+wQrULAWqIpCfTABLWmYUg4eJbEvMaik=")), 0);
    return 0;
}

/* The case of the scheme's name and of the hex digits of an encoded signature does not matter. */
static bool has_no_case(size_t i)
{
    const size_t sig = sizeof SCHEME "sr=" DEVICE_SR "&sig=" - 1;
    const size_t sig_end = sig + sizeof DEVICE_SIG - 1;
    const char c = (char)dps_lower((uint8_t)TOKEN[i]);
    const bool is_letter = c >= 'a' && c <= 'z';
    const bool in_escape = i >= sig + 2 && i < sig_end && (TOKEN[i - 1] == '%' || TOKEN[i - 2] == '%');
    return is_letter && (i < sizeof SCHEME - 1 || in_escape);
}

/* Nothing shorter and nothing with one bit changed is a good token. */
static int truncated_and_changed(void)
{
    char token[sizeof TOKEN];
    memcpy(token, TOKEN, sizeof token);
    const size_t len = sizeof TOKEN - 1;
    CHECK(is_good(bytes_of(token, len)));
    for (size_t cut = 0; cut < len; cut++) {
        CHECK(!is_good(bytes_of(token, cut)));
    }
    for (size_t i = 0; i < len; i++) {
        for (int change = 1; change < 256; change <<= 1) {
            token[i] = (char)(TOKEN[i] ^ change);
            CHECK(is_good(bytes_of(token, len)) == (change == 0x20 && has_no_case(i)));
        }
        token[i] = TOKEN[i];
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s08 the string to sign", s08_string_to_sign},
        {"s08 a whole token", s08_token},
        {"a token needs its room", token_needs_its_room},
        {"s08 the tokens of every client", s08_tokens_of_every_client},
        {"an audience is compared as a whole", audiences_are_whole},
        {"audiences that are none", audiences_that_are_none},
        {"members missing or doubled", members_missing_or_doubled},
        {"expiries that are none", expiries_that_are_none},
        {"signatures that are none", signatures_that_are_none},
        {"tokens truncated, and with every bit changed", truncated_and_changed},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
