/* SPDX-License-Identifier: MIT */
/* The hardened SRK: what the service takes for one, that its demand cannot be got round, and what TPM2_Rewrap gets. */
#include "dps/service/enrollment.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/tpm2.h"
#include <string.h>

static struct flow f;
static uint8_t request[4096];

static struct bytes own_ek(void)
{
    return bytes_of(f.device.ek, f.device.ek_len);
}

/* The public area of a key that the vector's TPM might have. */
static struct bytes srk_of(const struct tpm2_public *template_area, uint8_t *out, size_t size)
{
    struct tpm2_public area = *template_area;
    struct bytes_writer w = bytes_writer_over(out, size);
    area.unique = bytes_of(vector_srk_public_2b + 28, 256);
    tpm2_public_write_2b(&w, &area);
    return bytes_written(&w);
}

static enum dps_refusal asked_with(struct bytes srk)
{
    flow_ask(&f, request, flow_write_registration(request, sizeof request, own_ek(), srk, NULL));
    return f.answer.refusal;
}

/* Each byte but the modulus is looked at, in each of its bits. */
static int s05_every_bit_but_the_modulus(void)
{
    const struct tpm2_public hardened = tpm2_template_srk_hardened();
    uint8_t whole[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area;
    const struct bytes good = srk_of(&hardened, whole, sizeof whole);
    CHECK(tpm2_public_parse_2b(good, &area) == 0 && dps_srk_check(&area) == DPS_ACCEPTED);
    CHECK(dps_srk_is_hardened(&area));
    for (size_t bit = 0; bit < 8 * (good.len - 256); bit++) {
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(tpm2_public_parse_2b(good, &area) != 0 || dps_srk_check(&area) != DPS_ACCEPTED);
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    return 0;
}

/* What looks like one of the two and is neither. */
static int s05_neither(void)
{
    static const uint8_t three[32] = {0x96, 0x6c, 0x7a, 0x32, 0x09, 0x4f, 0xd7, 0x65, 0x7d, 0x14, 0x42,
                                      0xba, 0x13, 0x7e, 0x3c, 0x04, 0xda, 0xa0, 0x06, 0x17, 0x35, 0xc9,
                                      0x95, 0x7b, 0x37, 0x01, 0x4b, 0xcb, 0x73, 0xcd, 0xa7, 0x37};
    uint8_t whole[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area = tpm2_template_srk_hardened();
    CHECK(flow_open(&f, "neither", true) == 0);
    area.attributes |= TPM2_OBJECT_USER_WITH_AUTH; /* its policy, and the empty password beside it */
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_POLICY);
    area = tpm2_template_srk_hardened();
    area.attributes |= TPM2_OBJECT_ADMIN_WITH_POLICY;
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_ATTRIBUTES);
    area = tpm2_template_srk_hardened();
    area.auth_policy = bytes_of(three, sizeof three); /* ActivateCredential, Import or Load */
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_POLICY);
    area.auth_policy.len = 0;
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_ATTRIBUTES);
    flow_close(&f);
    return 0;
}

static int s05_demanded(void)
{
    const struct tpm2_public hardened = tpm2_template_srk_hardened();
    uint8_t whole[DPS_SRK_PUBLIC_MAX];
    CHECK(flow_open(&f, "demanded", true) == 0);
    const struct bytes other = srk_of(&hardened, whole, sizeof whole);
    CHECK(asked_with(other) == DPS_ACCEPTED && f.answer.status == 401); /* not demanded: either is taken */
    CHECK(asked_with(bytes_of(vector_srk_public_2b, 284)) == DPS_REFUSED_SRK_ATTRIBUTES);

    f.hardened_srk = true;
    CHECK(flow_enroll(&f, "device-1", own_ek(), "") == 0);
    CHECK(asked_with(other) == DPS_ACCEPTED && f.answer.status == 401);
    CHECK(flow_register(&f) == BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD && f.device.service_error == 400016);

    f.hardened_srk = false;
    CHECK(flow_enroll(&f, "device-1", own_ek(), "") == 0);
    CHECK(flow_register(&f) == 0);
    f.service_config.hardened_srk = true; /* of all */
    CHECK(flow_register(&f) == BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD && f.answer.status == 400);
    flow_close(&f);
    return 0;
}

/* A standard SRK that the service remembers is refused like one that is named: from the first request of a client that
 * then leaves the keys out, from the last registration, and when the hub's key is asked for. */
static int s05_demanded_later(void)
{
    static const char without_keys[] =
        "PUT /" FLOW_SCOPE "/registrations/device-1/register?api-version=2019-03-31 HTTP/1.1\r\n"
        "Host: " FLOW_HOST "\r\nAuthorization: SharedAccessSignature sr=" FLOW_SCOPE
        "%2Fregistrations%2Fdevice-1&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D&se=1800000100\r\n"
        "Content-Length: 2\r\n\r\n{}";
    CHECK(flow_open(&f, "later", true) == 0);
    flow_ask(&f, without_keys, sizeof without_keys - 1);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_MISSING);
    CHECK(dps_device_register(&f.device, &f.config, flow_nonce) == 0);
    while (f.device.http_requests < 1) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    f.service_config.hardened_srk = true;
    flow_ask(&f, without_keys, sizeof without_keys - 1);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD); /* the hint */

    f.service_config.hardened_srk = false;
    CHECK(dps_device_register(&f.device, &f.config, flow_nonce) == 0);
    while (f.device.http_requests < 2) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK(f.answer.status == 202);
    f.service_config.hardened_srk = true;
    CHECK(flow_finish(&f) == BYTES_E_HTTP); /* assigned, and then asks for the hub's key */
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD);
    memset(f.service.memory.hints, 0, sizeof f.service.memory.hints);
    flow_ask(&f, without_keys, sizeof without_keys - 1);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD); /* the last registration's */
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s05 every bit but the modulus", s05_every_bit_but_the_modulus},
        {"s05 what is neither of the two", s05_neither},
        {"s05 the hardened SRK is demanded", s05_demanded},
        {"s05 it is demanded later", s05_demanded_later},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
