/* SPDX-License-Identifier: MIT */
/* What explain.c knows of Part 3: the commands of tpm/command.h, in their order, with Part 3's names. */
#include "tpm/tools/explain_tables.h"
#include "tpm/tpm2.h"

/* What TPM2_Create and TPM2_CreatePrimary have in common. */
#define CREATION_PARAMETERS                                                                                  \
    TPM2_MEMBERS({"inSensitive", &tpm2_shape_sensitive_create, "What is secret about the new object."},      \
                 {"inPublic", &tpm2_shape_public, "The template: what kind of object to make."},             \
                 {"outsideInfo", &tpm2_shape_data, "Recorded with the object; nothing as a rule."},          \
                 {"creationPCR", &tpm2_shape_pcr_selections, "Registers to record; none as a rule."})
#define CREATION_RESULTS                                                                                     \
    {"creationData", &tpm2_shape_creation_data, "How and where the object was made."},                       \
        {"creationHash", &tpm2_shape_digest, "The hash of creationData."},                                   \
    {                                                                                                        \
        "creationTicket", &tpm2_shape_tk_creation, "This TPM's proof that it made the object."               \
    }
#define LOADED_NAME                                                                                          \
    {                                                                                                        \
        "name", &tpm2_shape_name, "The object's Name: a hash of its public area, which nobody can choose."   \
    }
#define MAC                                                                                                  \
    {                                                                                                        \
        "outHMAC", &tpm2_shape_digest, "The HMAC: a signature by whoever has this key."                      \
    }

const struct tpm2_command_table tpm2_command_tables[] = {
    {
        .name = "TPM2_Startup",
        .code = TPM2_CC_STARTUP,
        .spec = "P3 r1.59 9.3",
        .parameters = TPM2_MEMBERS({"startupType", &tpm2_shape_su, NULL}),
    },
    {
        .name = "TPM2_Shutdown",
        .code = TPM2_CC_SHUTDOWN,
        .spec = "P3 r1.59 9.4",
        .parameters = TPM2_MEMBERS({"shutdownType", &tpm2_shape_su, "What the next start will need."}),
    },
    {
        .name = "TPM2_StartAuthSession",
        .code = TPM2_CC_START_AUTH_SESSION,
        .spec = "P3 r1.59 11.1",
        .handles =
            TPM2_MEMBERS({"tpmKey", &tpm2_shape_handle, "A key that encrypts a salt; none: no salt."},
                         {"bind", &tpm2_shape_handle, "An object whose password enters the session's key."}),
        .parameters =
            TPM2_MEMBERS({"nonceCaller", &tpm2_shape_nonce,
                          "Fresh random bytes of the caller: no old session can be replayed."},
                         {"encryptedSalt", &tpm2_shape_encrypted_secret, "The salt, for tpmKey only."},
                         {"sessionType", &tpm2_shape_se, NULL},
                         {"symmetric", &tpm2_shape_sym_def, "How parameters will be encrypted, if at all."},
                         {"authHash", &tpm2_shape_alg_hash, "The hash of the session and of its policy."}),
        .response_handle =
            TPM2_MEMBERS({"sessionHandle", &tpm2_shape_handle, "The new session; must be flushed."}),
        .response = TPM2_MEMBERS({"nonceTPM", &tpm2_shape_nonce, "Fresh random bytes of the TPM."}),
    },
    {
        .name = "TPM2_Create",
        .code = TPM2_CC_CREATE,
        .spec = "P3 r1.59 12.1",
        .auths = 1,
        .handles =
            TPM2_MEMBERS({"parentHandle", &tpm2_shape_handle, "The storage key that will protect it."}),
        .parameters = CREATION_PARAMETERS,
        .response = TPM2_MEMBERS(
            {"outPrivate", &tpm2_shape_private, "The private part, encrypted: only this parent can load it."},
            {"outPublic", &tpm2_shape_public, "The public area as it was made."}, CREATION_RESULTS),
    },
    {
        .name = "TPM2_Load",
        .code = TPM2_CC_LOAD,
        .spec = "P3 r1.59 12.2",
        .auths = 1,
        .handles = TPM2_MEMBERS({"parentHandle", &tpm2_shape_handle, "The storage key that protects it."}),
        .parameters =
            TPM2_MEMBERS({"inPrivate", &tpm2_shape_private, "The private part, encrypted under the parent."},
                         {"inPublic", &tpm2_shape_public, "The public area that belongs to it."}),
        .response_handle =
            TPM2_MEMBERS({"objectHandle", &tpm2_shape_handle, "The loaded object; must be flushed."}),
        .response = TPM2_MEMBERS(LOADED_NAME),
    },
    {
        .name = "TPM2_LoadExternal",
        .code = TPM2_CC_LOAD_EXTERNAL,
        .spec = "P3 r1.59 12.3",
        .parameters =
            TPM2_MEMBERS({"inPrivate", &tpm2_shape_sensitive, "The private part, in clear, or nothing."},
                         {"inPublic", &tpm2_shape_public, "The public area."},
                         {"hierarchy", &tpm2_shape_handle, "The hierarchy of the new object."}),
        .response_handle =
            TPM2_MEMBERS({"objectHandle", &tpm2_shape_handle, "The loaded object; must be flushed."}),
        .response = TPM2_MEMBERS(LOADED_NAME),
    },
    {
        .name = "TPM2_ReadPublic",
        .code = TPM2_CC_READ_PUBLIC,
        .spec = "P3 r1.59 12.4",
        .handles = TPM2_MEMBERS({"objectHandle", &tpm2_shape_handle, "Whose public area is wanted."}),
        .response = TPM2_MEMBERS(
            {"outPublic", &tpm2_shape_public, "What the object is and may do, and its public key."},
            LOADED_NAME,
            {"qualifiedName", &tpm2_shape_name, "The Names of all its ancestors and its own, hashed."}),
    },
    {
        .name = "TPM2_ActivateCredential",
        .code = TPM2_CC_ACTIVATE_CREDENTIAL,
        .spec = "P3 r1.59 12.5",
        .auths = 2,
        .handles =
            TPM2_MEMBERS({"activateHandle", &tpm2_shape_handle,
                          "The object the credential is bound to: the storage root key."},
                         {"keyHandle", &tpm2_shape_handle, "The key that opens it: the endorsement key."}),
        .parameters = TPM2_MEMBERS(
            {"credentialBlob", &tpm2_shape_id_object, "The credential, bound to activateHandle's Name."},
            {"secret", &tpm2_shape_encrypted_secret, "The seed that protects it, encrypted to keyHandle."}),
        .response = TPM2_MEMBERS(
            {"certInfo", &tpm2_shape_digest, "The credential: proof that both keys are in this one TPM."}),
    },
    {
        .name = "TPM2_MakeCredential",
        .code = TPM2_CC_MAKE_CREDENTIAL,
        .spec = "P3 r1.59 12.6",
        .handles = TPM2_MEMBERS({"handle", &tpm2_shape_handle, "The public key that the credential is for."}),
        .parameters = TPM2_MEMBERS(
            {"credential", &tpm2_shape_digest, "What to protect."},
            {"objectName", &tpm2_shape_name, "The Name of the object that must be loaded beside it."}),
        .response =
            TPM2_MEMBERS({"credentialBlob", &tpm2_shape_id_object, "The credential, bound to objectName."},
                         {"secret", &tpm2_shape_encrypted_secret, "The seed that protects it, encrypted."}),
    },
    {
        .name = "TPM2_Unseal",
        .code = TPM2_CC_UNSEAL,
        .spec = "P3 r1.59 12.7",
        .auths = 1,
        .handles = TPM2_MEMBERS({"itemHandle", &tpm2_shape_handle, "The sealed data."}),
        .response =
            TPM2_MEMBERS({"outData", &tpm2_shape_sensitive_data, "The data that was sealed, in clear."}),
    },
    {
        .name = "TPM2_Rewrap",
        .code = TPM2_CC_REWRAP,
        .spec = "P3 r1.59 13.2",
        .auths = 1,
        .handles = TPM2_MEMBERS(
            {"oldParent", &tpm2_shape_handle, "The key that opens the outer layer."},
            {"newParent", &tpm2_shape_handle, "The key for another outer layer; none: it stays off."}),
        .parameters = TPM2_MEMBERS(
            {"inDuplicate", &tpm2_shape_duplicate,
             "The private part of a key that travels, encrypted twice."},
            {"name", &tpm2_shape_name, "The Name of that key."},
            {"inSymSeed", &tpm2_shape_encrypted_secret, "The seed of the outer layer, for oldParent."}),
        .response = TPM2_MEMBERS(
            {"outDuplicate", &tpm2_shape_duplicate, "The private part, with another outer layer or none."},
            {"outSymSeed", &tpm2_shape_encrypted_secret, "The seed of the outer layer, for newParent."}),
    },
    {
        .name = "TPM2_Import",
        .code = TPM2_CC_IMPORT,
        .spec = "P3 r1.59 13.3",
        .auths = 1,
        .handles =
            TPM2_MEMBERS({"parentHandle", &tpm2_shape_handle, "The storage key that will protect it."}),
        .parameters = TPM2_MEMBERS(
            {"encryptionKey", &tpm2_shape_data, "The inner key, which TPM2_ActivateCredential has given."},
            {"objectPublic", &tpm2_shape_public, "The public area of the imported key."},
            {"duplicate", &tpm2_shape_duplicate, "Its private part, encrypted twice."},
            {"inSymSeed", &tpm2_shape_encrypted_secret,
             "The seed of the outer layer, encrypted to the parent."},
            {"symmetricAlg", &tpm2_shape_sym_def_object, "The cipher of the inner layer."}),
        .response = TPM2_MEMBERS({"outPrivate", &tpm2_shape_private,
                                  "The private part, encrypted anew: only this parent can load it."}),
    },
    {
        .name = "TPM2_HMAC",
        .code = TPM2_CC_HMAC,
        .spec = "P3 r1.59 15.5",
        .auths = 1,
        .handles = TPM2_MEMBERS({"handle", &tpm2_shape_handle, "The HMAC key."}),
        .parameters = TPM2_MEMBERS({"buffer", &tpm2_shape_max_buffer, "The bytes to sign."},
                                   {"hashAlg", &tpm2_shape_alg_hash, "The hash; none: the key's own."}),
        .response = TPM2_MEMBERS(MAC),
    },
    {
        .name = "TPM2_GetRandom",
        .code = TPM2_CC_GET_RANDOM,
        .spec = "P3 r1.59 16.1",
        .parameters = TPM2_MEMBERS({"bytesRequested", &tpm2_shape_u16, "How many; the TPM may give fewer."}),
        .response = TPM2_MEMBERS({"randomBytes", &tpm2_shape_digest, "Bytes of the TPM's random generator."}),
    },
    {
        .name = "TPM2_HMAC_Start",
        .code = TPM2_CC_HMAC_START,
        .spec = "P3 r1.59 17.2",
        .auths = 1,
        .handles = TPM2_MEMBERS({"handle", &tpm2_shape_handle, "The HMAC key."}),
        .parameters = TPM2_MEMBERS({"auth", &tpm2_shape_auth, "The password of the sequence, or none."},
                                   {"hashAlg", &tpm2_shape_alg_hash, "The hash; none: the key's own."}),
        .response_handle = TPM2_MEMBERS({"sequenceHandle", &tpm2_shape_handle, "The HMAC that was begun."}),
    },
    {
        .name = "TPM2_SequenceUpdate",
        .code = TPM2_CC_SEQUENCE_UPDATE,
        .spec = "P3 r1.59 17.4",
        .auths = 1,
        .handles = TPM2_MEMBERS({"sequenceHandle", &tpm2_shape_handle, "The HMAC that was begun."}),
        .parameters = TPM2_MEMBERS({"buffer", &tpm2_shape_max_buffer, "The next bytes to sign."}),
    },
    {
        .name = "TPM2_SequenceComplete",
        .code = TPM2_CC_SEQUENCE_COMPLETE,
        .spec = "P3 r1.59 17.5",
        .auths = 1,
        .handles =
            TPM2_MEMBERS({"sequenceHandle", &tpm2_shape_handle, "The HMAC that was begun; it ends here."}),
        .parameters =
            TPM2_MEMBERS({"buffer", &tpm2_shape_max_buffer, "The last bytes to sign."},
                         {"hierarchy", &tpm2_shape_handle, "Of a ticket, which an HMAC does not have."}),
        .response =
            TPM2_MEMBERS({"result", &tpm2_shape_digest, "The HMAC: a signature by whoever has this key."},
                         {"validation", &tpm2_shape_tk_hashcheck, "A ticket; of an HMAC it is empty."}),
    },
    {
        .name = "TPM2_PolicySecret",
        .code = TPM2_CC_POLICY_SECRET,
        .spec = "P3 r1.59 23.4",
        .auths = 1,
        .handles = TPM2_MEMBERS({"authHandle", &tpm2_shape_handle, "Whose password proves it."},
                                {"policySession", &tpm2_shape_handle, "The session that records the proof."}),
        .parameters = TPM2_MEMBERS(
            {"nonceTPM", &tpm2_shape_nonce, "Limits the proof to one use of the session, unless empty."},
            {"cpHashA", &tpm2_shape_digest, "Limits the proof to one command, unless empty."},
            {"policyRef", &tpm2_shape_nonce, "What else enters the policy, unless empty."},
            {"expiration", &tpm2_shape_u32, "Seconds that the proof holds; 0: as long as the session."}),
        .response =
            TPM2_MEMBERS({"timeout", &tpm2_shape_timeout, "When the ticket expires; empty: there is none."},
                         {"policyTicket", &tpm2_shape_tk_auth, "Proof to use later, if one was asked for."}),
    },
    {
        .name = "TPM2_PolicyOR",
        .code = TPM2_CC_POLICY_OR,
        .spec = "P3 r1.59 23.6",
        .handles = TPM2_MEMBERS({"policySession", &tpm2_shape_handle, "The policy session."}),
        .parameters = TPM2_MEMBERS({"pHashList", &tpm2_shape_digests,
                                    "What may have been proven: the session's digest must be one of these."}),
    },
    {
        .name = "TPM2_PolicyCommandCode",
        .code = TPM2_CC_POLICY_COMMAND_CODE,
        .spec = "P3 r1.59 23.11",
        .handles = TPM2_MEMBERS({"policySession", &tpm2_shape_handle, "The policy session."}),
        .parameters = TPM2_MEMBERS({"code", &tpm2_shape_cc, "The one command that it may authorize."}),
    },
    {
        .name = "TPM2_PolicyGetDigest",
        .code = TPM2_CC_POLICY_GET_DIGEST,
        .spec = "P3 r1.59 23.19",
        .handles = TPM2_MEMBERS({"policySession", &tpm2_shape_handle, "The policy session."}),
        .response =
            TPM2_MEMBERS({"policyDigest", &tpm2_shape_digest, "The hash of all that was proven so far."}),
    },
    {
        .name = "TPM2_CreatePrimary",
        .code = TPM2_CC_CREATE_PRIMARY,
        .spec = "P3 r1.59 24.1",
        .auths = 1,
        .handles = TPM2_MEMBERS({"primaryHandle", &tpm2_shape_handle,
                                 "The hierarchy: its seed and the template always give the same key."}),
        .parameters = CREATION_PARAMETERS,
        .response_handle =
            TPM2_MEMBERS({"objectHandle", &tpm2_shape_handle, "The loaded key; must be flushed."}),
        .response = TPM2_MEMBERS({"outPublic", &tpm2_shape_public, "The public area with the public key."},
                                 CREATION_RESULTS, LOADED_NAME),
    },
    {
        .name = "TPM2_Clear",
        .code = TPM2_CC_CLEAR,
        .spec = "P3 r1.59 24.6",
        .auths = 1,
        .handles = TPM2_MEMBERS({"authHandle", &tpm2_shape_handle, "Who allows it: lockout or platform."}),
    },
    {
        .name = "TPM2_HierarchyChangeAuth",
        .code = TPM2_CC_HIERARCHY_CHANGE_AUTH,
        .spec = "P3 r1.59 24.8",
        .auths = 1,
        .handles = TPM2_MEMBERS({"authHandle", &tpm2_shape_handle, "Whose password changes."}),
        .parameters = TPM2_MEMBERS({"newAuth", &tpm2_shape_auth, "The new password; empty: none."}),
    },
    {
        .name = "TPM2_FlushContext",
        .code = TPM2_CC_FLUSH_CONTEXT,
        .spec = "P3 r1.59 28.4",
        .parameters = TPM2_MEMBERS({"flushHandle", &tpm2_shape_handle, "The object or session to forget."}),
    },
    {
        .name = "TPM2_EvictControl",
        .code = TPM2_CC_EVICT_CONTROL,
        .spec = "P3 r1.59 28.5",
        .auths = 1,
        .handles = TPM2_MEMBERS({"auth", &tpm2_shape_handle, "Who allows it: the owner."},
                                {"objectHandle", &tpm2_shape_handle,
                                 "What to make persistent, or to evict if it is persistent."}),
        .parameters = TPM2_MEMBERS(
            {"persistentHandle", &tpm2_shape_handle, "The persistent handle that it gets, or had."}),
    },
    {
        .name = "TPM2_GetCapability",
        .code = TPM2_CC_GET_CAPABILITY,
        .spec = "P3 r1.59 30.2",
        .parameters = TPM2_MEMBERS({"capability", &tpm2_shape_cap, NULL},
                                   {"property", &tpm2_shape_u32, "Where the list begins."},
                                   {"propertyCount", &tpm2_shape_u32, "How many values are wanted."}),
        .response = TPM2_MEMBERS({"moreData", &tpm2_shape_yes_no, NULL},
                                 {"capabilityData", &tpm2_shape_capability_data, "What was asked for."}),
    },
    {
        .name = "TPM2_NV_ReadPublic",
        .code = TPM2_CC_NV_READ_PUBLIC,
        .spec = "P3 r1.59 31.6",
        .handles = TPM2_MEMBERS({"nvIndex", &tpm2_shape_handle, "The index."}),
        .response = TPM2_MEMBERS({"nvPublic", &tpm2_shape_nv_public, "The public area of the index."},
                                 {"nvName", &tpm2_shape_name, "Its Name: a hash of its public area."}),
    },
    {
        .name = "TPM2_NV_Read",
        .code = TPM2_CC_NV_READ,
        .spec = "P3 r1.59 31.13",
        .auths = 1,
        .handles =
            TPM2_MEMBERS({"authHandle", &tpm2_shape_handle, "Who allows it: the owner, or the index itself."},
                         {"nvIndex", &tpm2_shape_handle, "The index."}),
        .parameters = TPM2_MEMBERS({"size", &tpm2_shape_u16, "Bytes to read."},
                                   {"offset", &tpm2_shape_u16, "Where to begin."}),
        .response = TPM2_MEMBERS({"data", &tpm2_shape_max_nv_buffer, "The bytes."}),
    },
    {0}};

const struct tpm2_command_table *tpm2_explain_find_command(uint32_t code)
{
    for (const struct tpm2_command_table *c = tpm2_command_tables; c->name != NULL; c++) {
        if (c->code == code) {
            return c;
        }
    }
    return NULL;
}
