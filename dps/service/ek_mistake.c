/* SPDX-License-Identifier: MIT */
/* Endorsement keys as people paste them, recognised by how they begin: "it is a certificate" helps where "it
 * is wrong" does not. Nothing is converted here; dps-admin does that. */
#include "dps/service/ek_mistake.h"

#define GIVE "; give base64 of the TPM2B_PUBLIC (dps-admin enroll converts)"

const char *dps_ek_mistake(struct bytes text)
{
    /* The first that fits counts. */
    static const struct {
        const char *start;
        const char *says;
    } forms[] = {
        {"-----BEGIN CERT", "endorsementKey is an EK certificate in PEM" GIVE},
        {"-----BEGIN TSS2",
         "endorsementKey is a TSS2 key file in PEM, not an endorsement key; give base64 of the "
         "TPM2B_PUBLIC (dps-device ek)"},
        {"-----BEGIN ", "endorsementKey is PEM" GIVE},
        {"LS0tLS1CRUdJTi", "endorsementKey is base64 of a PEM file" GIVE},
        {"MIIBCgKCAQEA",
         "endorsementKey is a DER RSA key, as Windows' Get-TpmEndorsementKeyInfo shows it" GIVE},
        {"3082010",
         "endorsementKey is hex of a DER RSA key, as Windows' Get-TpmEndorsementKeyInfo shows it" GIVE},
        {"MIIBI", "endorsementKey is a DER public key" GIVE},
        {"MII", "endorsementKey is a certificate or another DER object" GIVE},
        {"3082", "endorsementKey is hex of a DER object" GIVE},
        {"013a0001", "endorsementKey is hex; give the same bytes as base64"},
        {"013A0001", "endorsementKey is hex; give the same bytes as base64"},
        {"AAEACw",
         "endorsementKey is a TPMT_PUBLIC without its two size bytes, as tpm2-tools writes it with -f "
         "tpmt; give the whole TPM2B_PUBLIC"},
        {"utzA3g",
         "endorsementKey is a context file of tpm2-tools; give base64 of what tpm2_createek -u wrote"},
        {"name:", "endorsementKey is what tpm2_readpublic prints; give base64 of what it writes with -o"},
        {"AToAAQALAAMA",
         "endorsementKey begins as it should, but is cut off or has line ends or other characters "
         "in it; give its base64 in one piece"},
        /* As JSON escapes it, since no text holds the zeros in it. */
        {"\\u0001:",
         "endorsementKey is the raw bytes of a TPM2B_PUBLIC, as tpm2-tools writes them; give their base64"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct bytes start = bytes_of_text(forms[i].start);
        if (text.len >= start.len && bytes_equal_public(bytes_of(text.p, start.len), start)) {
            return forms[i].says;
        }
    }
    return "endorsementKey is not base64 of a TPM2B_PUBLIC";
}
