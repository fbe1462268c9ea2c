/* SPDX-License-Identifier: MIT */
/* tpm2_rc_decode of any 32-bit number, for EVA. */
#include "tpm/rc.h"

/*@ assigns \result \from \nothing; ensures 0 <= \result <= 0xFFFFFFFF; */
uint32_t any_number(void);

int main(void)
{
    const struct tpm2_rc decoded = tpm2_rc_decode(any_number());
    /*@ assert decoded.number <= 15; */
    /*@ assert decoded.kind <= TPM2_RC_KIND_SESSION; */
    return (int)decoded.kind;
}
