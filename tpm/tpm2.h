/* SPDX-License-Identifier: MIT */
/* The constants of Part 2 that this project uses, under Part 2's names with the prefix TPM2_. */
#ifndef TPM_TPM2_H
#define TPM_TPM2_H

/* TPM_ALG_ID [P2 r1.59 6.3, Table 9] */
#define TPM2_ALG_RSA 0x0001
#define TPM2_ALG_HMAC 0x0005
#define TPM2_ALG_AES 0x0006
#define TPM2_ALG_KEYEDHASH 0x0008
#define TPM2_ALG_XOR 0x000A
#define TPM2_ALG_SHA256 0x000B
#define TPM2_ALG_SHA384 0x000C
#define TPM2_ALG_NULL 0x0010
#define TPM2_ALG_RSASSA 0x0014
#define TPM2_ALG_RSAES 0x0015
#define TPM2_ALG_RSAPSS 0x0016
#define TPM2_ALG_OAEP 0x0017
#define TPM2_ALG_ECC 0x0023
#define TPM2_ALG_CFB 0x0043

/* TPM_CC [P2 r1.59 6.5.2, Table 12] */
#define TPM2_CC_EVICT_CONTROL 0x00000120
#define TPM2_CC_CLEAR 0x00000126
#define TPM2_CC_HIERARCHY_CHANGE_AUTH 0x00000129
#define TPM2_CC_CREATE_PRIMARY 0x00000131
#define TPM2_CC_SEQUENCE_COMPLETE 0x0000013E
#define TPM2_CC_STARTUP 0x00000144
#define TPM2_CC_SHUTDOWN 0x00000145
#define TPM2_CC_ACTIVATE_CREDENTIAL 0x00000147
#define TPM2_CC_NV_READ 0x0000014E
#define TPM2_CC_POLICY_SECRET 0x00000151
#define TPM2_CC_REWRAP 0x00000152
#define TPM2_CC_CREATE 0x00000153
#define TPM2_CC_HMAC 0x00000155
#define TPM2_CC_IMPORT 0x00000156
#define TPM2_CC_LOAD 0x00000157
#define TPM2_CC_HMAC_START 0x0000015B
#define TPM2_CC_SEQUENCE_UPDATE 0x0000015C
#define TPM2_CC_UNSEAL 0x0000015E
#define TPM2_CC_FLUSH_CONTEXT 0x00000165
#define TPM2_CC_LOAD_EXTERNAL 0x00000167
#define TPM2_CC_MAKE_CREDENTIAL 0x00000168
#define TPM2_CC_NV_READ_PUBLIC 0x00000169
#define TPM2_CC_POLICY_COMMAND_CODE 0x0000016C
#define TPM2_CC_POLICY_OR 0x00000171
#define TPM2_CC_READ_PUBLIC 0x00000173
#define TPM2_CC_START_AUTH_SESSION 0x00000176
#define TPM2_CC_GET_CAPABILITY 0x0000017A
#define TPM2_CC_GET_RANDOM 0x0000017B
#define TPM2_CC_POLICY_GET_DIGEST 0x00000189

/* TPM_RC, format 0 errors [P2 r1.59 6.6.3, Table 16]: the TPM or the command as a whole */
#define TPM2_RC_SUCCESS 0x000
#define TPM2_RC_BAD_TAG 0x01E /* what a TPM answers to a tag of the other version; in TPM 1.2 form */
#define TPM2_RC_INITIALIZE 0x100
#define TPM2_RC_FAILURE 0x101
#define TPM2_RC_SEQUENCE 0x103
#define TPM2_RC_DISABLED 0x120
#define TPM2_RC_EXCLUSIVE 0x121
#define TPM2_RC_AUTH_TYPE 0x124
#define TPM2_RC_AUTH_MISSING 0x125
#define TPM2_RC_POLICY 0x126
#define TPM2_RC_UPGRADE 0x12D
#define TPM2_RC_TOO_MANY_CONTEXTS 0x12E
#define TPM2_RC_AUTH_UNAVAILABLE 0x12F
#define TPM2_RC_REBOOT 0x130
#define TPM2_RC_COMMAND_SIZE 0x142
#define TPM2_RC_COMMAND_CODE 0x143
#define TPM2_RC_AUTHSIZE 0x144
#define TPM2_RC_AUTH_CONTEXT 0x145
#define TPM2_RC_NV_RANGE 0x146
#define TPM2_RC_NV_SIZE 0x147
#define TPM2_RC_NV_LOCKED 0x148
#define TPM2_RC_NV_AUTHORIZATION 0x149
#define TPM2_RC_NV_UNINITIALIZED 0x14A
#define TPM2_RC_NV_SPACE 0x14B
#define TPM2_RC_NV_DEFINED 0x14C
#define TPM2_RC_NEEDS_TEST 0x153
#define TPM2_RC_SENSITIVE 0x155

/* TPM_RC, format 1 [P2 r1.59 6.6.3, Table 16]: about one handle, parameter or session, whose number is
 * added */
#define TPM2_RC_ASYMMETRIC 0x081
#define TPM2_RC_ATTRIBUTES 0x082
#define TPM2_RC_HASH 0x083
#define TPM2_RC_VALUE 0x084
#define TPM2_RC_HIERARCHY 0x085
#define TPM2_RC_KEY_SIZE 0x087
#define TPM2_RC_MODE 0x089
#define TPM2_RC_TYPE 0x08A
#define TPM2_RC_HANDLE 0x08B
#define TPM2_RC_KDF 0x08C
#define TPM2_RC_RANGE 0x08D
#define TPM2_RC_AUTH_FAIL 0x08E
#define TPM2_RC_NONCE 0x08F
#define TPM2_RC_SCHEME 0x092
#define TPM2_RC_SIZE 0x095
#define TPM2_RC_SYMMETRIC 0x096
#define TPM2_RC_TAG 0x097
#define TPM2_RC_SELECTOR 0x098
#define TPM2_RC_INSUFFICIENT 0x09A
#define TPM2_RC_SIGNATURE 0x09B
#define TPM2_RC_KEY 0x09C
#define TPM2_RC_POLICY_FAIL 0x09D
#define TPM2_RC_INTEGRITY 0x09F
#define TPM2_RC_TICKET 0x0A0
#define TPM2_RC_RESERVED_BITS 0x0A1
#define TPM2_RC_BAD_AUTH 0x0A2
#define TPM2_RC_EXPIRED 0x0A3
#define TPM2_RC_POLICY_CC 0x0A4
#define TPM2_RC_BINDING 0x0A5

/* TPM_RC, warnings [P2 r1.59 6.6.3, Table 16]: not now */
#define TPM2_RC_CONTEXT_GAP 0x901
#define TPM2_RC_OBJECT_MEMORY 0x902
#define TPM2_RC_SESSION_MEMORY 0x903
#define TPM2_RC_MEMORY 0x904
#define TPM2_RC_SESSION_HANDLES 0x905
#define TPM2_RC_OBJECT_HANDLES 0x906
#define TPM2_RC_LOCALITY 0x907
#define TPM2_RC_YIELDED 0x908
#define TPM2_RC_CANCELED 0x909
#define TPM2_RC_TESTING 0x90A
#define TPM2_RC_REFERENCE_H0 0x910 /* H0 to H6: the handle area names an object that is not loaded */
#define TPM2_RC_REFERENCE_H1 0x911
#define TPM2_RC_REFERENCE_H2 0x912
#define TPM2_RC_REFERENCE_S0 0x918 /* S0 to S6: the authorization area names a session that is not loaded */
#define TPM2_RC_REFERENCE_S1 0x919
#define TPM2_RC_REFERENCE_S6 0x91E
#define TPM2_RC_NV_RATE 0x920
#define TPM2_RC_LOCKOUT 0x921
#define TPM2_RC_RETRY 0x922
#define TPM2_RC_NV_UNAVAILABLE 0x923

/* TPM_ST [P2 r1.59 6.9, Table 19] */
#define TPM2_ST_RSP_COMMAND 0x00C4 /* the tag of a TPM 1.2 response */
#define TPM2_ST_NO_SESSIONS 0x8001
#define TPM2_ST_SESSIONS 0x8002
#define TPM2_ST_CREATION 0x8021
#define TPM2_ST_AUTH_SECRET 0x8023
#define TPM2_ST_HASHCHECK 0x8024

/* TPM_SU [P2 r1.59 6.10, Table 20] */
#define TPM2_SU_CLEAR 0x0000
#define TPM2_SU_STATE 0x0001

/* TPM_SE [P2 r1.59 6.11, Table 21] */
#define TPM2_SE_HMAC 0x00
#define TPM2_SE_POLICY 0x01
#define TPM2_SE_TRIAL 0x03

/* TPM_CAP [P2 r1.59 6.12, Table 22] */
#define TPM2_CAP_ALGS 0x00000000
#define TPM2_CAP_HANDLES 0x00000001
#define TPM2_CAP_COMMANDS 0x00000002
#define TPM2_CAP_TPM_PROPERTIES 0x00000006

/* TPM_PT [P2 r1.59 6.13, Table 23]. The fixed group describes the TPM, the variable group its state. */
#define TPM2_PT_FAMILY_INDICATOR 0x00000100
#define TPM2_PT_LEVEL 0x00000101
#define TPM2_PT_REVISION 0x00000102
#define TPM2_PT_DAY_OF_YEAR 0x00000103
#define TPM2_PT_YEAR 0x00000104
#define TPM2_PT_MANUFACTURER 0x00000105
#define TPM2_PT_VENDOR_STRING_1 0x00000106
#define TPM2_PT_VENDOR_STRING_2 0x00000107
#define TPM2_PT_VENDOR_STRING_3 0x00000108
#define TPM2_PT_VENDOR_STRING_4 0x00000109
#define TPM2_PT_FIRMWARE_VERSION_1 0x0000010B
#define TPM2_PT_FIRMWARE_VERSION_2 0x0000010C
#define TPM2_PT_INPUT_BUFFER 0x0000010D
#define TPM2_PT_HR_TRANSIENT_MIN 0x0000010E
#define TPM2_PT_HR_PERSISTENT_MIN 0x0000010F
#define TPM2_PT_ACTIVE_SESSIONS_MAX 0x00000111
#define TPM2_PT_MAX_COMMAND_SIZE 0x0000011E
#define TPM2_PT_MAX_RESPONSE_SIZE 0x0000011F
#define TPM2_PT_NV_BUFFER_MAX 0x0000012C
#define TPM2_PT_PERMANENT 0x00000200
#define TPM2_PT_STARTUP_CLEAR 0x00000201
#define TPM2_PT_HR_LOADED_AVAIL 0x00000204
#define TPM2_PT_HR_ACTIVE 0x00000205
#define TPM2_PT_HR_ACTIVE_AVAIL 0x00000206
#define TPM2_PT_HR_TRANSIENT_AVAIL 0x00000207
#define TPM2_PT_HR_PERSISTENT 0x00000208
#define TPM2_PT_HR_PERSISTENT_AVAIL 0x00000209
#define TPM2_PT_LOCKOUT_COUNTER 0x0000020E
#define TPM2_PT_MAX_AUTH_FAIL 0x0000020F
#define TPM2_PT_LOCKOUT_INTERVAL 0x00000210
#define TPM2_PT_LOCKOUT_RECOVERY 0x00000211

/* TPM_HT [P2 r1.59 7.2, Table 27]: the most significant byte of a handle says what kind it is */
#define TPM2_HT_SHIFT 24
#define TPM2_HT_NV_INDEX 0x01
#define TPM2_HT_HMAC_SESSION 0x02
#define TPM2_HT_POLICY_SESSION 0x03
#define TPM2_HT_LOADED_SESSION 0x02 /* of either kind, where handles are asked for; */
#define TPM2_HT_SAVED_SESSION 0x03  /* likewise: whose context was saved outside */
#define TPM2_HT_TRANSIENT 0x80
#define TPM2_HT_PERSISTENT 0x81

/* TPM_RH [P2 r1.59 7.4, Table 28] */
#define TPM2_RH_OWNER 0x40000001
#define TPM2_RH_NULL 0x40000007
#define TPM2_RS_PW 0x40000009
#define TPM2_RH_LOCKOUT 0x4000000A
#define TPM2_RH_ENDORSEMENT 0x4000000B
#define TPM2_RH_PLATFORM 0x4000000C

/* TPM_HC [P2 r1.59 7.5, Table 29]: ranges of handles. The platform owns the upper half of the persistent
 * ones. */
#define TPM2_HR_TRANSIENT 0x80000000
#define TPM2_HR_PERSISTENT 0x81000000
#define TPM2_HR_PLATFORM_PERSISTENT 0x81800000

/* TPMA_OBJECT [P2 r1.59 8.3.2, Table 31] */
#define TPM2_OBJECT_FIXED_TPM 0x00000002
#define TPM2_OBJECT_ST_CLEAR 0x00000004
#define TPM2_OBJECT_FIXED_PARENT 0x00000010
#define TPM2_OBJECT_SENSITIVE_DATA_ORIGIN 0x00000020
#define TPM2_OBJECT_USER_WITH_AUTH 0x00000040
#define TPM2_OBJECT_ADMIN_WITH_POLICY 0x00000080
#define TPM2_OBJECT_NO_DA 0x00000400
#define TPM2_OBJECT_ENCRYPTED_DUPLICATION 0x00000800
#define TPM2_OBJECT_RESTRICTED 0x00010000
#define TPM2_OBJECT_DECRYPT 0x00020000
#define TPM2_OBJECT_SIGN_ENCRYPT 0x00040000

/* TPMA_SESSION [P2 r1.59 8.4, Table 32] */
#define TPM2_SESSION_CONTINUE 0x01
#define TPM2_SESSION_DECRYPT 0x20 /* the first parameter of the command is encrypted */
#define TPM2_SESSION_ENCRYPT 0x40 /* that of the response */

/* TPMA_PERMANENT [P2 r1.59 8.6, Table 34] */
#define TPM2_PERMANENT_OWNER_AUTH_SET 0x00000001
#define TPM2_PERMANENT_ENDORSEMENT_AUTH_SET 0x00000002
#define TPM2_PERMANENT_LOCKOUT_AUTH_SET 0x00000004
#define TPM2_PERMANENT_DISABLE_CLEAR 0x00000100
#define TPM2_PERMANENT_IN_LOCKOUT 0x00000200

/* TPMA_STARTUP_CLEAR [P2 r1.59 8.7, Table 35]: which hierarchies are enabled; sh is the owner's */
#define TPM2_STARTUP_CLEAR_PH_ENABLE 0x00000001
#define TPM2_STARTUP_CLEAR_SH_ENABLE 0x00000002
#define TPM2_STARTUP_CLEAR_EH_ENABLE 0x00000004

/* TPMA_NV [P2 r1.59 13.4]: who may read */
#define TPM2_NV_PP_READ 0x00010000
#define TPM2_NV_OWNER_READ 0x00020000
#define TPM2_NV_AUTH_READ 0x00040000
#define TPM2_NV_POLICY_READ 0x00080000
#define TPM2_NV_WRITTEN 0x20000000

/* Where keys stand by convention: the persistent RSA-2048 EK and SRK [TCG Provisioning Guidance v1.0
 * r1.0 7.8]. */
#define TPM2_HANDLE_EK 0x81010001
#define TPM2_HANDLE_SRK 0x81000001

/* NV indexes of the EK [TCG EK Credential Profile v2.5 2.2.1.4 and 2.2.1.5]: certificate, nonce and
 * template of the RSA-2048 EK in the low range, and the certificates of the high range. */
#define TPM2_NV_EK_CERTIFICATE_RSA2048 0x01C00002
#define TPM2_NV_EK_NONCE_RSA2048 0x01C00003
#define TPM2_NV_EK_TEMPLATE_RSA2048 0x01C00004
#define TPM2_NV_EK_CERTIFICATE_ECC_P256 0x01C0000A
#define TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH 0x01C00012

/* PolicyA of the EK: the digest of TPM2_PolicySecret(TPM_RH_ENDORSEMENT) alone
 * [TCG EK Credential Profile v2.5 B.6.2]. An initializer for 32 bytes. */
#define TPM2_EK_POLICY_SHA256                                                                                \
    {                                                                                                        \
        0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,      \
            0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa   \
    }

/* The hardened SRK: the digests of TPM2_PolicyCommandCode for TPM2_Import and for TPM2_Load, and of TPM2_PolicyOR of
 * the two, in this order [P3 r1.59 23.11 and 23.6]. Initializers for 32 bytes. */
#define TPM2_POLICY_IMPORT_SHA256                                                                            \
    {                                                                                                        \
        0xe1, 0xfd, 0xc3, 0x8a, 0x23, 0x80, 0x6d, 0xcf, 0x62, 0x09, 0x7b, 0xcb, 0x06, 0x74, 0x0e, 0x33,      \
            0xca, 0x36, 0x90, 0xdc, 0x21, 0xa7, 0x00, 0x0c, 0x41, 0xe0, 0xe8, 0x1c, 0x4b, 0x9b, 0x36, 0x5a   \
    }
#define TPM2_POLICY_LOAD_SHA256                                                                              \
    {                                                                                                        \
        0x43, 0x0e, 0xd9, 0x47, 0x58, 0x15, 0xde, 0xb6, 0x1c, 0x7e, 0x4a, 0x88, 0xeb, 0x44, 0xfe, 0x5a,      \
            0x83, 0xfa, 0x17, 0xb9, 0x7c, 0xf6, 0xce, 0xe4, 0xa8, 0x42, 0x0b, 0x3e, 0xf5, 0x0b, 0x13, 0x4f   \
    }
#define TPM2_POLICY_IMPORT_OR_LOAD_SHA256                                                                    \
    {                                                                                                        \
        0x1e, 0x76, 0x26, 0xa5, 0xd4, 0xb6, 0x85, 0xcb, 0xb0, 0x49, 0x36, 0xa0, 0xfd, 0xcc, 0x77, 0xb8,      \
            0xa3, 0xca, 0x3c, 0x37, 0xf4, 0x2a, 0xd4, 0x04, 0x82, 0xbc, 0xf2, 0x75, 0x34, 0xdd, 0x88, 0x7f   \
    }

#endif
