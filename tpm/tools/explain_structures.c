/* SPDX-License-Identifier: MIT */
/* What explain.c knows of Part 2: objects, credentials, duplicates, capabilities and NV indexes. */
#include "tpm/tools/explain_tables.h"
#include "tpm/tpm2.h"

#define EXACT 0xFFFFFFFFU

/* ---- Symmetric ciphers and schemes ------------------------------------------------------------------------- */

static const struct tpm2_shape key_bits = {.layout = TPM2_UINT, .width = 2, .type = "TPM_KEY_BITS"};
static const struct tpm2_shape sym_key_bits = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_ALG_NULL, NULL, NULL, false},
                                            {EXACT, TPM2_ALG_XOR, &tpm2_shape_alg_hash, "The hash.", false},
                                            {0, 0, &key_bits, NULL, false},
                                            {.last = true}}};
static const struct tpm2_shape sym_mode = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_ALG_NULL, NULL, NULL, false},
                                            {EXACT, TPM2_ALG_XOR, NULL, NULL, false},
                                            {0, 0, &tpm2_shape_alg, NULL, false},
                                            {.last = true}}};
static const struct tpm2_member sym_members[] = {{"algorithm", &tpm2_shape_alg, NULL},
                                                 {"keyBits", &sym_key_bits, "Length of its keys, in bits."},
                                                 {"mode", &sym_mode, "How blocks are chained."},
                                                 {0}};
const struct tpm2_shape tpm2_shape_sym_def = {
    .layout = TPM2_STRUCT, .type = "TPMT_SYM_DEF", .spec = "P2 r1.59 11.1.6", .members = sym_members};
const struct tpm2_shape tpm2_shape_sym_def_object = {
    .layout = TPM2_STRUCT, .type = "TPMT_SYM_DEF_OBJECT", .spec = "P2 r1.59 11.1.7", .members = sym_members};

static const struct tpm2_shape scheme_hash = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_SCHEME_HASH",
    .spec = "P2 r1.59 11.1.17",
    .members = TPM2_MEMBERS({"hashAlg", &tpm2_shape_alg_hash, "The hash that the scheme uses."})};
static const struct tpm2_shape scheme_ecdaa = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_SCHEME_ECDAA",
    .spec = "P2 r1.59 11.1.18",
    .members = TPM2_MEMBERS({"hashAlg", &tpm2_shape_alg_hash, "The hash that the scheme uses."},
                            {"count", &tpm2_shape_u16, "Which commit value signs."})};
static const struct tpm2_shape scheme_xor = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_SCHEME_XOR",
    .spec = "P2 r1.59 11.1.21",
    .members = TPM2_MEMBERS({"hashAlg", &tpm2_shape_alg_hash, "The hash that the scheme uses."},
                            {"kdf", &tpm2_shape_alg, "How its mask is derived."})};

/* Schemes that have no details at all; the others name a hash. */
static const struct tpm2_shape asym_details = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_ALG_NULL, NULL, NULL, false},
                                            {EXACT, TPM2_ALG_RSAES, NULL, NULL, false},
                                            {EXACT, 0x001A /* ECDAA */, &scheme_ecdaa, NULL, false},
                                            {0, 0, &scheme_hash, NULL, false},
                                            {.last = true}}};
static const struct tpm2_shape keyedhash_details = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_ALG_NULL, NULL, NULL, false},
                                            {EXACT, TPM2_ALG_HMAC, &scheme_hash, NULL, false},
                                            {EXACT, TPM2_ALG_XOR, &scheme_xor, NULL, false},
                                            {.last = true}}};
#define SCHEME(DETAILS)                                                                                      \
    TPM2_MEMBERS(                                                                                            \
        {"scheme", &tpm2_shape_alg, "How the key is used; none: each use says so, or it is a storage key."}, \
        {"details", &DETAILS, "What the scheme needs to know."})
static const struct tpm2_shape rsa_scheme = {.layout = TPM2_STRUCT,
                                             .type = "TPMT_RSA_SCHEME",
                                             .spec = "P2 r1.59 11.2.4.2",
                                             .members = SCHEME(asym_details)};
static const struct tpm2_shape ecc_scheme = {.layout = TPM2_STRUCT,
                                             .type = "TPMT_ECC_SCHEME",
                                             .spec = "P2 r1.59 11.2.5.6",
                                             .members = SCHEME(asym_details)};
static const struct tpm2_shape kdf_scheme = {.layout = TPM2_STRUCT,
                                             .type = "TPMT_KDF_SCHEME",
                                             .spec = "P2 r1.59 11.2.3.3",
                                             .members = SCHEME(asym_details)};
static const struct tpm2_shape keyedhash_scheme = {.layout = TPM2_STRUCT,
                                                   .type = "TPMT_KEYEDHASH_SCHEME",
                                                   .spec = "P2 r1.59 11.1.23",
                                                   .members = SCHEME(keyedhash_details)};

/* ---- Public areas ------------------------------------------------------------------------------------------ */

/* TPMA_OBJECT [P2 r1.59 8.3.2, Table 31] */
static const struct tpm2_bit object_bits[] = {
    {TPM2_OBJECT_FIXED_TPM, "fixedTPM", "It can never leave this TPM."},
    {TPM2_OBJECT_ST_CLEAR, "stClear", "Its saved contexts die with a restart."},
    {TPM2_OBJECT_FIXED_PARENT, "fixedParent", "It can never get another parent."},
    {TPM2_OBJECT_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin", "The TPM made its private part itself."},
    {TPM2_OBJECT_USER_WITH_AUTH, "userWithAuth", "Its authValue is enough to use it."},
    {TPM2_OBJECT_ADMIN_WITH_POLICY, "adminWithPolicy", "Only its policy authorizes administering it."},
    {TPM2_OBJECT_NO_DA, "noDA", "Wrong passwords do not count towards lockout."},
    {TPM2_OBJECT_ENCRYPTED_DUPLICATION, "encryptedDuplication", "It may be duplicated only encrypted."},
    {TPM2_OBJECT_RESTRICTED, "restricted", "It works only on structures in the TPM's own formats."},
    {TPM2_OBJECT_DECRYPT, "decrypt", "It decrypts."},
    {TPM2_OBJECT_SIGN_ENCRYPT, "sign", "It signs."},
    {0}};
static const struct tpm2_shape object_attributes = {
    .layout = TPM2_UINT, .width = 4, .type = "TPMA_OBJECT", .bits = object_bits};

static const struct tpm2_shape keyedhash_parms = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_KEYEDHASH_PARMS",
    .spec = "P2 r1.59 12.2.3.3",
    .members = TPM2_MEMBERS({"scheme", &keyedhash_scheme, "HMAC for a key; none for sealed data."})};
static const struct tpm2_shape symcipher_parms = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_SYMCIPHER_PARMS",
    .spec = "P2 r1.59 11.1.9",
    .members = TPM2_MEMBERS({"sym", &tpm2_shape_sym_def_object, "The cipher."})};
static const struct tpm2_value_name exponents[] = {{EXACT, 0, "65537", NULL}, {0}};
static const struct tpm2_shape exponent = {
    .layout = TPM2_UINT, .width = 4, .type = "UINT32", .values = exponents};
static const struct tpm2_shape rsa_parms = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_RSA_PARMS",
    .spec = "P2 r1.59 12.2.3.5",
    .members = TPM2_MEMBERS(
        {"symmetric", &tpm2_shape_sym_def_object, "What protects the children of a storage key."},
        {"scheme", &rsa_scheme, "How the key signs or decrypts."},
        {"keyBits", &key_bits, "Length of the modulus, in bits."},
        {"exponent", &exponent, "The public exponent; 0 stands for 65537."})};
static const struct tpm2_value_name curves[] = {{EXACT, 3, "TPM_ECC_NIST_P256", NULL},
                                                {EXACT, 4, "TPM_ECC_NIST_P384", NULL},
                                                {EXACT, 5, "TPM_ECC_NIST_P521", NULL},
                                                {0}};
static const struct tpm2_shape curve = {
    .layout = TPM2_UINT, .width = 2, .type = "TPMI_ECC_CURVE", .values = curves};
static const struct tpm2_shape ecc_parms = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_ECC_PARMS",
    .spec = "P2 r1.59 12.2.3.6",
    .members = TPM2_MEMBERS(
        {"symmetric", &tpm2_shape_sym_def_object, "What protects the children of a storage key."},
        {"scheme", &ecc_scheme, "How the key signs or agrees."}, {"curveID", &curve, "The curve."},
        {"kdf", &kdf_scheme, "How keys are derived."})};
static const struct tpm2_shape public_parms = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_ALG_RSA, &rsa_parms, NULL, false},
                                            {EXACT, TPM2_ALG_KEYEDHASH, &keyedhash_parms, NULL, false},
                                            {EXACT, TPM2_ALG_ECC, &ecc_parms, NULL, false},
                                            {EXACT, 0x0025 /* SYMCIPHER */, &symcipher_parms, NULL, false},
                                            {.last = true}}};

static const struct tpm2_shape public_key_rsa = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_PUBLIC_KEY_RSA", .spec = "P2 r1.59 11.2.4.5"};
static const struct tpm2_shape ecc_parameter = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_ECC_PARAMETER", .spec = "P2 r1.59 11.2.5.1"};
static const struct tpm2_shape ecc_point = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_ECC_POINT",
    .spec = "P2 r1.59 11.2.5.2",
    .members =
        TPM2_MEMBERS({"x", &ecc_parameter, "Its first coordinate."}, {"y", &ecc_parameter, "Its second."})};
static const struct tpm2_shape public_id = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){
        {EXACT, TPM2_ALG_RSA, &public_key_rsa,
         "The modulus: the public key. In a template, bytes that choose among keys.", false},
        {EXACT, TPM2_ALG_KEYEDHASH, &tpm2_shape_digest,
         "A hash of the private part and a blinding seed: names the key, betrays nothing.", false},
        {EXACT, TPM2_ALG_ECC, &ecc_point, "A point: the public key.", false},
        {EXACT, 0x0025 /* SYMCIPHER */, &tpm2_shape_digest, "A hash of the private part and a seed.", false},
        {.last = true}}};
static const struct tpm2_shape public_area = {
    .layout = TPM2_STRUCT,
    .type = "TPMT_PUBLIC",
    .spec = "P2 r1.59 12.2.4",
    .members = TPM2_MEMBERS(
        {"type", &tpm2_shape_alg, NULL},
        {"nameAlg", &tpm2_shape_alg_hash, "The hash that makes its Name and its policies."},
        {"objectAttributes", &object_attributes, "What the object may do, bit by bit."},
        {"authPolicy", &tpm2_shape_digest, "What a policy session must prove; empty: no policy."},
        {"parameters", &public_parms, "Algorithm and sizes."}, {"unique", &public_id, NULL})};
const struct tpm2_shape tpm2_shape_public = {
    .layout = TPM2_SIZED,
    .width = 2,
    .type = "TPM2B_PUBLIC",
    .spec = "P2 r1.59 12.2.5",
    .members =
        TPM2_MEMBERS({"publicArea", &public_area, "What the object is; the hash of this is its Name."})};

/* ---- Private areas ----------------------------------------------------------------------------------------- */

/* A TPM chooses the inside of the private areas that it gives out; only duplicates have a common form. */
const struct tpm2_shape tpm2_shape_private = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_PRIVATE", .spec = "P2 r1.59 12.3.7"};
const struct tpm2_shape tpm2_shape_duplicate = {
    .layout = TPM2_SIZED_TRY,
    .width = 2,
    .type = "TPM2B_PRIVATE",
    .spec = "P2 r1.59 12.3.7",
    .members = TPM2_MEMBERS({"integrityOuter", &tpm2_shape_digest,
                             "HMAC over what follows and the Name: shows that nobody changed either."},
                            {"dupSensitive", &tpm2_shape_rest,
                             "The key, encrypted twice: under the inner key, and again under the seed."})};

static const struct tpm2_shape private_key_rsa = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_PRIVATE_KEY_RSA", .spec = "P2 r1.59 11.2.4.7"};
static const struct tpm2_shape sensitive_composite = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){
        {EXACT, TPM2_ALG_RSA, &private_key_rsa, "One prime of the modulus.", false},
        {EXACT, TPM2_ALG_KEYEDHASH, &tpm2_shape_sensitive_data, "The key.", false},
        {EXACT, TPM2_ALG_ECC, &ecc_parameter, "The private key.", false},
        {.last = true}}};
static const struct tpm2_shape sensitive_area = {
    .layout = TPM2_STRUCT,
    .type = "TPMT_SENSITIVE",
    .spec = "P2 r1.59 12.3.2.4",
    .members =
        TPM2_MEMBERS({"sensitiveType", &tpm2_shape_alg, NULL},
                     {"authValue", &tpm2_shape_auth, "The password of the object, or none."},
                     {"seedValue", &tpm2_shape_digest, "Blinds the public hash, or protects children."},
                     {"sensitive", &sensitive_composite, NULL})};
const struct tpm2_shape tpm2_shape_sensitive = {
    .layout = TPM2_SIZED,
    .width = 2,
    .type = "TPM2B_SENSITIVE",
    .spec = "P2 r1.59 12.3.3",
    .members = TPM2_MEMBERS({"sensitiveArea", &sensitive_area, "The private part, in clear."})};

static const struct tpm2_shape sensitive_create = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_SENSITIVE_CREATE",
    .spec = "P2 r1.59 11.1.15",
    .members =
        TPM2_MEMBERS({"userAuth", &tpm2_shape_auth, "The password of the new object, or none."},
                     {"data", &tpm2_shape_sensitive_data, "What to seal; empty: the TPM makes a key."})};
const struct tpm2_shape tpm2_shape_sensitive_create = {
    .layout = TPM2_SIZED,
    .width = 2,
    .type = "TPM2B_SENSITIVE_CREATE",
    .spec = "P2 r1.59 11.1.16",
    .members = TPM2_MEMBERS({"sensitive", &sensitive_create, "What is secret about the new object."})};

/* ---- Creation and credentials ------------------------------------------------------------------------------ */

static const struct tpm2_bit locality_bits[] = {{0x01, "TPM_LOC_ZERO", "The operating system."},
                                                {0x02, "TPM_LOC_ONE", "Something more trusted than that."},
                                                {0x04, "TPM_LOC_TWO", NULL},
                                                {0x08, "TPM_LOC_THREE", NULL},
                                                {0x10, "TPM_LOC_FOUR", "The hardware, at start."},
                                                {0}};
static const struct tpm2_shape locality = {
    .layout = TPM2_UINT, .width = 1, .type = "TPMA_LOCALITY", .bits = locality_bits};
static const struct tpm2_shape parent_name = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_NAME", .spec = "P2 r1.59 10.5.3", .content = "name"};
static const struct tpm2_shape creation_data = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_CREATION_DATA",
    .spec = "P2 r1.59 15.1",
    .members =
        TPM2_MEMBERS({"pcrSelect", &tpm2_shape_pcr_selections, "Registers that were recorded."},
                     {"pcrDigest", &tpm2_shape_digest, "The hash of their values at creation."},
                     {"locality", &locality, "Where the command came from: its locality."},
                     {"parentNameAlg", &tpm2_shape_alg, "The parent's hash; none: it is a hierarchy."},
                     {"parentName", &parent_name, "The parent's Name; of a hierarchy its handle."},
                     {"parentQualifiedName", &parent_name, "The Names of all ancestors, hashed in order."},
                     {"outsideInfo", &tpm2_shape_data, "What the caller wanted to have recorded."})};
const struct tpm2_shape tpm2_shape_creation_data = {
    .layout = TPM2_SIZED,
    .width = 2,
    .type = "TPM2B_CREATION_DATA",
    .spec = "P2 r1.59 15.2",
    .members = TPM2_MEMBERS({"creationData", &creation_data, "How and where the object was made."})};

const struct tpm2_shape tpm2_shape_id_object = {
    .layout = TPM2_SIZED_TRY,
    .width = 2,
    .type = "TPM2B_ID_OBJECT",
    .spec = "P2 r1.59 12.4.3",
    .content = "credential",
    .members = TPM2_MEMBERS(
        {"integrityHMAC", &tpm2_shape_digest,
         "HMAC over what follows and the Name of the object it is bound to."},
        {"encIdentity", &tpm2_shape_rest, "The credential (here the inner key), encrypted under the seed."})};

/* The blob is Microsoft's: six structures with the names that the clients of TPM attestation give them. */
const struct tpm2_member tpm2_activation_blob_members[] = {
    {"credentialBlob", &tpm2_shape_id_object, "1: the inner key, bound to the Name of the SRK."},
    {"secret", &tpm2_shape_encrypted_secret, "2: the seed that protects 1, encrypted by RSA-OAEP to the EK."},
    {"duplicate", &tpm2_shape_duplicate, "3: the HMAC key, for TPM2_Import."},
    {"inSymSeed", &tpm2_shape_encrypted_secret,
     "4: the seed that protects 3, encrypted by RSA-OAEP to the SRK."},
    {"objectPublic", &tpm2_shape_public, "5: the public area of the HMAC key."},
    {"encUriData", &tpm2_shape_data, "6: host and device ID in UTF-16LE, encrypted under the inner key."},
    {"trailing", &tpm2_shape_rest, "Bytes after the six structures: clients ignore them."},
    {0}};

/* ---- Capabilities ------------------------------------------------------------------------------------------ */

/* TPMA_ALGORITHM, TPMA_PERMANENT, TPMA_STARTUP_CLEAR, TPMA_CC [P2 r1.59 8.2, 8.6, 8.7 and 8.9] */
static const struct tpm2_bit algorithm_bits[] = {{0x001, "asymmetric", "It has a public key."},
                                                 {0x002, "symmetric", "It is a block cipher."},
                                                 {0x004, "hash", "It is a hash."},
                                                 {0x008, "object", "Objects can have this type."},
                                                 {0x100, "signing", "It signs."},
                                                 {0x200, "encrypting", "It encrypts."},
                                                 {0x400, "method", "It derives keys or masks."},
                                                 {0}};
static const struct tpm2_bit permanent_bits[] = {
    {TPM2_PERMANENT_OWNER_AUTH_SET, "ownerAuthSet", "The owner has a password."},
    {TPM2_PERMANENT_ENDORSEMENT_AUTH_SET, "endorsementAuthSet", "The endorsement hierarchy has a password."},
    {TPM2_PERMANENT_LOCKOUT_AUTH_SET, "lockoutAuthSet", "Lockout has a password."},
    {TPM2_PERMANENT_DISABLE_CLEAR, "disableClear", "TPM2_Clear is switched off."},
    {TPM2_PERMANENT_IN_LOCKOUT, "inLockout", "Too many wrong passwords: the TPM waits."},
    {0x400, "tpmGeneratedEPS", "The TPM made its endorsement seed itself."},
    {0}};
static const struct tpm2_bit startup_clear_bits[] = {
    {0x1, "phEnable", "The platform hierarchy is enabled."},
    {0x2, "shEnable", "The owner's hierarchy is enabled."},
    {0x4, "ehEnable", "The endorsement hierarchy is enabled."},
    {0x8, "phEnableNV", "The platform's NV indexes are enabled."},
    {0x80000000, "orderly", "It was shut down in order."},
    {0}};
static const struct tpm2_bit command_bits[] = {{0x00400000, "nv", "It may write to permanent memory."},
                                               {0x00800000, "extensive", "It may flush many objects."},
                                               {0x01000000, "flushed", "It flushes the object it uses."},
                                               {0x10000000, "rHandle", "Its response has a handle."},
                                               {0x20000000, "V", "It is the vendor's own."},
                                               {0}};
static const struct tpm2_shape algorithm_attributes = {
    .layout = TPM2_UINT, .width = 4, .type = "TPMA_ALGORITHM", .bits = algorithm_bits};
static const struct tpm2_shape permanent = {
    .layout = TPM2_UINT, .width = 4, .type = "TPMA_PERMANENT", .bits = permanent_bits};
static const struct tpm2_shape startup_clear = {
    .layout = TPM2_UINT, .width = 4, .type = "TPMA_STARTUP_CLEAR", .bits = startup_clear_bits};
static const struct tpm2_shape command_attributes = {
    .layout = TPM2_UINT, .width = 4, .type = "TPMA_CC", .bits = command_bits};

static const struct tpm2_shape alg_property = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_ALG_PROPERTY",
    .spec = "P2 r1.59 10.8.1",
    .members = TPM2_MEMBERS({"alg", &tpm2_shape_alg, NULL},
                            {"algProperties", &algorithm_attributes, "What kind of algorithm it is."})};
static const struct tpm2_shape property_value = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_PT_PERMANENT, &permanent, NULL, false},
                                            {EXACT, TPM2_PT_STARTUP_CLEAR, &startup_clear, NULL, false},
                                            {0, 0, &tpm2_shape_u32, NULL, false},
                                            {.last = true}}};
static const struct tpm2_shape tagged_property = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_TAGGED_PROPERTY",
    .spec = "P2 r1.59 10.8.2",
    .members = TPM2_MEMBERS({"property", &tpm2_shape_pt, NULL}, {"value", &property_value, "Its value."})};
static const struct tpm2_shape pcr_property_select = {.layout = TPM2_BUFFER,
                                                      .width = 1,
                                                      .type = "TPMS_PCR_SELECT",
                                                      .spec = "P2 r1.59 10.8.3",
                                                      .size = "sizeofSelect",
                                                      .content = "pcrSelect"};
static const struct tpm2_shape tagged_pcr_select = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_TAGGED_PCR_SELECT",
    .spec = "P2 r1.59 10.8.3",
    .members = TPM2_MEMBERS({"tag", &tpm2_shape_u32, "What is special."},
                            {"select", &pcr_property_select, "The registers that have it, one bit each."})};

#define LIST(NAME, SECTION, ...)                                                                             \
    {                                                                                                        \
        .layout = TPM2_LIST, .type = NAME, .spec = SECTION, .members = TPM2_MEMBERS(__VA_ARGS__)             \
    }
static const struct tpm2_shape algorithms =
    LIST("TPML_ALG_PROPERTY", "P2 r1.59 10.9.8", {"algProperties", &alg_property, "One algorithm."});
static const struct tpm2_shape handles =
    LIST("TPML_HANDLE", "P2 r1.59 10.9.4", {"handle", &tpm2_shape_handle, NULL});
static const struct tpm2_shape commands =
    LIST("TPML_CCA", "P2 r1.59 10.9.2",
         {"commandAttributes", &command_attributes, "One command: its number is in the last two bytes."});
static const struct tpm2_shape command_codes =
    LIST("TPML_CC", "P2 r1.59 10.9.1", {"commandCodes", &tpm2_shape_cc, NULL});
static const struct tpm2_shape properties =
    LIST("TPML_TAGGED_TPM_PROPERTY", "P2 r1.59 10.9.9", {"tpmProperty", &tagged_property, "One fact."});
static const struct tpm2_shape pcr_properties = LIST("TPML_TAGGED_PCR_PROPERTY", "P2 r1.59 10.9.10",
                                                     {"pcrProperty", &tagged_pcr_select, "One property."});
static const struct tpm2_shape curve_list =
    LIST("TPML_ECC_CURVE", "P2 r1.59 10.9.11", {"eccCurves", &curve, "One curve."});

static const struct tpm2_shape capabilities = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){{EXACT, TPM2_CAP_ALGS, &algorithms, NULL, false},
                                            {EXACT, TPM2_CAP_HANDLES, &handles, NULL, false},
                                            {EXACT, TPM2_CAP_COMMANDS, &commands, NULL, false},
                                            {EXACT, 3, &command_codes, NULL, false},
                                            {EXACT, 4, &command_codes, NULL, false},
                                            {EXACT, 5, &tpm2_shape_pcr_selections, NULL, false},
                                            {EXACT, TPM2_CAP_TPM_PROPERTIES, &properties, NULL, false},
                                            {EXACT, 7, &pcr_properties, NULL, false},
                                            {EXACT, 8, &curve_list, NULL, false},
                                            {.last = true}}};
const struct tpm2_shape tpm2_shape_digests =
    LIST("TPML_DIGEST", "P2 r1.59 10.9.3", {"digests", &tpm2_shape_digest, "The digest of one branch."});
const struct tpm2_shape tpm2_shape_capability_data = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_CAPABILITY_DATA",
    .spec = "P2 r1.59 10.10.2",
    .members = TPM2_MEMBERS({"capability", &tpm2_shape_cap, NULL}, {"data", &capabilities, "The answer."})};

/* ---- NV indexes -------------------------------------------------------------------------------------------- */

/* TPMA_NV [P2 r1.59 13.4]; bits 4 to 7 are a number, the type, and have no names of their own. */
static const struct tpm2_bit nv_bits[] = {
    {0x00000001, "PPWRITE", "The platform may write."},
    {0x00000002, "OWNERWRITE", "The owner may write."},
    {0x00000004, "AUTHWRITE", "Its authValue allows to write."},
    {0x00000008, "POLICYWRITE", "Its policy allows to write."},
    {0x00000400, "POLICY_DELETE", "Only its policy allows to delete."},
    {0x00000800, "WRITELOCKED", "It cannot be written now."},
    {0x00001000, "WRITEALL", "It must be written as a whole."},
    {0x00002000, "WRITEDEFINE", "It can be locked for writing for good."},
    {0x00004000, "WRITE_STCLEAR", "It can be locked until a restart."},
    {0x00008000, "GLOBALLOCK", "The global lock locks it."},
    {TPM2_NV_PP_READ, "PPREAD", "The platform may read."},
    {TPM2_NV_OWNER_READ, "OWNERREAD", "The owner may read."},
    {TPM2_NV_AUTH_READ, "AUTHREAD", "Its authValue allows to read."},
    {TPM2_NV_POLICY_READ, "POLICYREAD", "Its policy allows to read."},
    {0x02000000, "NO_DA", "Wrong passwords do not count to lockout."},
    {0x04000000, "ORDERLY", "It is saved only at shutdown."},
    {0x08000000, "CLEAR_STCLEAR", "A restart empties it."},
    {0x10000000, "READLOCKED", "It cannot be read now."},
    {TPM2_NV_WRITTEN, "WRITTEN", "It has been written."},
    {0x40000000, "PLATFORMCREATE", "It is the platform's, not the owner's."},
    {0x80000000, "READ_STCLEAR", "Reading can be locked until a restart."},
    {0}};
static const struct tpm2_shape nv_attributes = {
    .layout = TPM2_UINT, .width = 4, .type = "TPMA_NV", .bits = nv_bits};
static const struct tpm2_shape nv_public = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_NV_PUBLIC",
    .spec = "P2 r1.59 13.5",
    .members = TPM2_MEMBERS({"nvIndex", &tpm2_shape_handle, "Its handle."},
                            {"nameAlg", &tpm2_shape_alg_hash, "The hash that makes its Name."},
                            {"attributes", &nv_attributes, "Who may do what with it."},
                            {"authPolicy", &tpm2_shape_digest, "What a policy session must prove."},
                            {"dataSize", &tpm2_shape_u16, "Bytes that it holds."})};
const struct tpm2_shape tpm2_shape_nv_public = {
    .layout = TPM2_SIZED,
    .width = 2,
    .type = "TPM2B_NV_PUBLIC",
    .spec = "P2 r1.59 13.6",
    .members = TPM2_MEMBERS({"nvPublic", &nv_public, "The public area of the index."})};
