/* SPDX-License-Identifier: MIT */
/* Which algorithms a TPM has, by name. */
#include "port/posix/device/tool.h"
#include <string.h>

#define ALGORITHMS_MAX 100

struct name {
    uint32_t number;
    const char *text;
};

/* TPM_ALG_ID [TCG Algorithm Registry r1.32], those that a reader of `info` may look for. */
static const struct name algorithms[] = {
    {0x0001, "RSA"},
    {0x0003, "TDES"},
    {0x0004, "SHA1"},
    {0x0005, "HMAC"},
    {0x0006, "AES"},
    {0x0007, "MGF1"},
    {0x0008, "KEYEDHASH"},
    {0x000A, "XOR"},
    {0x000B, "SHA256"},
    {0x000C, "SHA384"},
    {0x000D, "SHA512"},
    {0x0010, "NULL"},
    {0x0012, "SM3_256"},
    {0x0013, "SM4"},
    {0x0014, "RSASSA"},
    {0x0015, "RSAES"},
    {0x0016, "RSAPSS"},
    {0x0017, "OAEP"},
    {0x0018, "ECDSA"},
    {0x0019, "ECDH"},
    {0x001A, "ECDAA"},
    {0x001B, "SM2"},
    {0x001C, "ECSCHNORR"},
    {0x001D, "ECMQV"},
    {0x0020, "KDF1_SP800_56A"},
    {0x0021, "KDF2"},
    {0x0022, "KDF1_SP800_108"},
    {0x0023, "ECC"},
    {0x0025, "SYMCIPHER"},
    {0x0026, "CAMELLIA"},
    {0x0027, "SHA3_256"},
    {0x0028, "SHA3_384"},
    {0x0029, "SHA3_512"},
    {0x003F, "CMAC"},
    {0x0040, "CTR"},
    {0x0041, "OFB"},
    {0x0042, "CBC"},
    {0x0043, "CFB"},
    {0x0044, "ECB"},
    {0x0050, "CCM"},
    {0x0051, "GCM"},
    {0x0052, "KW"},
    {0x0053, "KWP"},
    {0x0054, "EAX"},
    {0x0060, "EDDSA"},
};

static const char *algorithm_name(uint32_t algorithm)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (algorithms[i].number == algorithm) {
            return algorithms[i].text;
        }
    }
    return NULL;
}

int device_print_algorithms(struct device_tool *t)
{
    uint32_t found[ALGORITHMS_MAX];
    size_t count;
    int error = device_list(t, TPM2_CAP_ALGS, 0, found, ALGORITHMS_MAX, &count);
    if (error != 0) {
        return error;
    }
    int column = printf("Algorithms   ");
    for (size_t i = 0; i < count && i < ALGORITHMS_MAX; i++) {
        char number[16];
        const char *name = algorithm_name(found[i]);
        snprintf(number, sizeof number, "0x%04X", (unsigned)found[i]);
        name = name != NULL ? name : number;
        if (column + (int)strlen(name) + 1 > DEVICE_LINE_END) {
            column = printf("\n             ") - 1;
        }
        column += printf(" %s", name);
    }
    puts(count > ALGORITHMS_MAX ? " ..." : "");
    return 0;
}
