# SPDX-License-Identifier: MIT
"""“Why is it so odd?”: what makes people doubt their eyes, with the section that says so."""
from links import source_link


def must(holds, what):
    if not holds:
        raise SystemExit(f"walkthrough: a box says what the run does not: {what}")


def box(name, title, text, *specs):
    where = " ".join(f'<span class="spec">{spec}</span>' for spec in specs)
    return ("html", f'<section class="odd" id="odd-{name}" aria-labelledby="odd-{name}-h"><p class="who">Why is it so '
            f'odd?</p><h3 id="odd-{name}-h">{title}</h3><p>{text}</p><p class="by">{where}</p></section>')


def exponent(run):
    made = run.by_anchor("vendor-createprimary-1-response")
    must(made.get("exponent") == bytes(4), "exponent 0")
    return box("exponent", "An RSA key with the exponent 0",
               "An RSA key has a public exponent, nearly always 65537. Here it is 0, in the template and in the "
               "public area that comes back: 0 stands for 65537. It stays 0 in what is hashed. Whoever writes 65537 "
               "there computes another Name, and a credential for a key that no TPM has. Only for the arithmetic it "
               f'is 65537: {source_link("tpm/public.c:exponent_of")}.', "P2 r1.59 12.2.3.5")


def unique(run):
    ek = run.by_anchor("vendor-createprimary-1-command").get("unique.buffer")
    srk = run.by_anchor("owner-createprimary-2-command").get("unique")
    must(ek == bytes(256) and srk == bytes(2), "zeros in one unique, nothing in the other")
    return box("unique", "A modulus of zeros, and an empty one",
               "<code>unique</code> of an RSA key is its modulus. In a template there is no key yet, so it is "
               f"something else: bytes that choose. For the EK they are {len(ek)} zero bytes, for the SRK of step 3 "
               "none at all. Both go into the derivation like the rest of the template, so other bytes give another "
               "key from the same seed. Both are right for one reason only: everybody uses the same. Several SDKs "
               'leave the EK\'s empty, too, and get <a href="#wrong-template">another EK</a>.', "P1 r1.59 14",
               "TCG EK Credential Profile v2.5 B.3.3", "TCG Provisioning Guidance v1.0 7.5.1")


def zero_bytes(run):
    blob = next(e.blob for e in run.scenes["register"] if e.blob)
    must(len(blob.get("secret.secret")) == 256, "a secret of 256 bytes")
    return box("labels", "Labels that end with a zero byte",
               "A label says what something is encrypted for, so that it is of no use elsewhere. In this protocol "
               "the labels are texts of C, and their end is part of them: <code>IDENTITY</code> has nine bytes for "
               "OAEP, the last one zero. KDFa, too, puts a zero byte after its label. Crypto libraries take the label "
               "as they are given it. If the zero byte is missing, everything seems to work, and the TPM refuses the "
               'result as if <a href="#one-bit">a bit of field 2</a> were wrong.', "P1 r1.59 B.4",
               "P1 r1.59 11.4.10.2")


def two_keys():
    return box("two-keys", "Two keys wrap one secret",
               "Why is the nonce not simply encrypted to the EK? Because the EK would give it out. All that it "
               "opens is a credential, whose content TPM2_ActivateCredential hands to the software that asks. And why "
               "not to the SRK alone? It takes keys in without giving them out, but the service has never seen it "
               "before. So each does what the other cannot: the EK says which TPM it is, the SRK keeps the nonce "
               "inside. The specification has two structures, a credential and a duplicate, made for other purposes. "
               "The flow puts them together: the secret of the credential is the inner key of the duplicate.",
               "P1 r1.59 24.3", "P1 r1.59 23.3")
