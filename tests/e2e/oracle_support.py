# SPDX-License-Identifier: MIT
"""What oracle_test.py stands on: programs, a swtpm of its own, and other people's TPM software around it."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile

# Some tests want the TPM to refuse; that need not be logged. Read once, when the library is loaded.
os.environ.setdefault("TSS2_LOG", "all+none")

from tpm2_pytss import ESAPI, TCTILdr
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPM2_CAP, TPM2_SE, TPMA_OBJECT
from tpm2_pytss.types import (TPM2B_ENCRYPTED_SECRET, TPM2B_ID_OBJECT, TPM2B_PRIVATE, TPM2B_PUBLIC,
                              TPM2B_SENSITIVE_CREATE, TPMS_RSA_PARMS, TPMT_PUBLIC, TPMT_RSA_SCHEME,
                              TPMT_SYM_DEF, TPMT_SYM_DEF_OBJECT, TPMU_PUBLIC_ID, TPMU_PUBLIC_PARMS, TPMU_SYM_KEY_BITS,
                              TPMU_SYM_MODE)

from tap import Failed, check, same
from waiting import PATIENCE, wait_until

FIELDS = ("id_object", "encrypted_secret", "duplicate", "duplicate_secret", "key_public", "enc_uri")


def program(name):
    path = name if os.sep in name else shutil.which(name)
    check(path and os.access(path, os.X_OK), f"the program {name} is missing")
    return path


def run(*command, status=0, cwd=None, env=None):
    """Standard output of a program; or standard error of one that has to fail with this status."""
    done = subprocess.run([program(command[0]), *command[1:]], capture_output=True, timeout=PATIENCE, cwd=cwd,
                          env={**os.environ, **(env or {})}, check=False)
    check(done.returncode == status, f"{' '.join(command)[:200]}: status {done.returncode}, wanted {status}\n"
          + done.stderr.decode(errors="replace"))
    return done.stdout if status == 0 else done.stderr


# ---- Public areas and their like in pytss -------------------------------------------------------------

def aes_128_cfb():
    return TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.AES, keyBits=TPMU_SYM_KEY_BITS(aes=128),
                               mode=TPMU_SYM_MODE(aes=TPM2_ALG.CFB))


EK_ATTRIBUTES = (TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN
                 | TPMA_OBJECT.ADMINWITHPOLICY | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT)
SRK_ATTRIBUTES = (TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN
                  | TPMA_OBJECT.USERWITHAUTH | TPMA_OBJECT.NODA | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT)
# What software keys can have: without the bits that only a TPM gives. As a storage key one comes in by Import, as a
# plain decryption key by LoadExternal.
SOFTWARE_PLAIN = TPMA_OBJECT.USERWITHAUTH | TPMA_OBJECT.NODA | TPMA_OBJECT.DECRYPT
SOFTWARE_STORAGE = SOFTWARE_PLAIN | TPMA_OBJECT.RESTRICTED
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")


def rsa_key(attributes, policy=b"", unique=b""):
    """An RSA-2048 key. Without restricted it is not a storage key, and may have no algorithm for children."""
    restricted = attributes & TPMA_OBJECT.RESTRICTED
    symmetric = aes_128_cfb() if restricted else TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)
    return TPM2B_PUBLIC(publicArea=TPMT_PUBLIC(
        type=TPM2_ALG.RSA, nameAlg=TPM2_ALG.SHA256, objectAttributes=attributes, authPolicy=policy,
        parameters=TPMU_PUBLIC_PARMS(rsaDetail=TPMS_RSA_PARMS(
            symmetric=symmetric, scheme=TPMT_RSA_SCHEME(scheme=TPM2_ALG.NULL), keyBits=2048)),
        unique=TPMU_PUBLIC_ID(rsa=unique)))


def ek_template(unique):
    return rsa_key(EK_ATTRIBUTES, EK_POLICY, unique)


def public_of(whole):
    area, used = TPM2B_PUBLIC.unmarshal(whole)
    same(used, len(whole), "size of a TPM2B_PUBLIC")
    return area


def name_of(public):
    return bytes(public.get_name())


# ---- The tool under test ------------------------------------------------------------------------------

class BlobTool:
    """blob_tool: our code, asked about its wire formats."""

    def __init__(self, path):
        self.path = path

    def __call__(self, command, *arguments, status=0):
        text = [a.hex() if isinstance(a, bytes) else a.encode().hex() for a in arguments]
        lines = run(self.path, command, *text, status=status).decode().splitlines()
        if status != 0:
            return lines
        return {name: value for name, _, value in (line.partition(" ") for line in lines)}

    def bytes(self, command, *arguments):
        return {name: bytes.fromhex(value) for name, value in self(command, *arguments).items()}


# ---- The TPM ------------------------------------------------------------------------------------------

class Swtpm:
    """A fresh swtpm, spoken to by our programs, by tpm2-tools and by pytss. It has no resource manager, so whoever has
    used it removes what was left in it."""

    def __init__(self, directory):
        self.dir = tempfile.mkdtemp(dir=directory)
        self.process = None
        for _ in range(20):
            self.port = free_port_pair()
            if self.start():
                return
        raise Failed("swtpm does not start: " + self.log())

    def start(self):
        """tpm2-tools need the control channel at the port after the TPM's. Somebody else may take one first."""
        self.process = subprocess.Popen(
            [program("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={self.dir}",
             "--server", f"type=tcp,port={self.port}", "--ctrl", f"type=tcp,port={self.port + 1}",
             "--flags", "not-need-init,startup-clear", "--log", f"file={self.dir}/log"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.process.poll() is not None or self.is_listening(), "swtpm listens")
        return self.process.poll() is None

    def is_listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port + 1), timeout=1).close()
            return True
        except OSError:
            return False

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return "no log"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    @property
    def ours(self):
        return f"swtpm:127.0.0.1:{self.port}"

    @property
    def tcti(self):
        return f"host=127.0.0.1,port={self.port}"

    @contextlib.contextmanager
    def esys(self):
        """pytss on this TPM; afterwards nothing is left in it."""
        with TCTILdr("swtpm", self.tcti) as tcti, ESAPI(tcti) as e:
            try:
                yield e
            finally:
                flush(e)

    def loaded(self):
        """Transient objects and sessions in the TPM."""
        with TCTILdr("swtpm", self.tcti) as tcti, ESAPI(tcti) as e:
            return [hex(h) for h in handles(e)]

    def tool(self, name, *arguments, cwd=None):
        """One of tpm2-tools. It works through files and leaves copies of them in the TPM."""
        env = {"TPM2TOOLS_TCTI": f"swtpm:{self.tcti}"}
        out = run(name, *arguments, cwd=cwd, env=env)
        run("tpm2_flushcontext", "-t", env=env)
        return out


def free_port_pair():
    """Two free ports in a row; they may be taken by the time they are used."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue


def handles(e):
    found = []
    for kind in (0x80000000, 0x02000000, 0x03000000):  # transient objects, loaded sessions, saved sessions
        _, data = e.get_capability(TPM2_CAP.HANDLES, kind, 16)
        found += list(data.data.handles)
    return sorted(set(int(h) for h in found))


def flush(e):
    for handle in handles(e):
        e.flush_context(e.tr_from_tpmpublic(handle))


# ---- What pytss does with a TPM -----------------------------------------------------------------------

def create_ek(e, unique=bytes(256)):
    handle, public, *_ = e.create_primary(TPM2B_SENSITIVE_CREATE(), ek_template(unique), ESYS_TR.ENDORSEMENT)
    return handle, public


def create_srk(e):
    handle, public, *_ = e.create_primary(TPM2B_SENSITIVE_CREATE(), rsa_key(SRK_ATTRIBUTES), ESYS_TR.OWNER)
    return handle, public


def keys_of(tpm):
    """EK (template L-1) and SRK of a TPM as TPM2B_PUBLIC."""
    with tpm.esys() as e:
        return create_ek(e)[1].marshal(), create_srk(e)[1].marshal()


def endorsement_session(e):
    session = e.start_auth_session(ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.POLICY, TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL),
                                   TPM2_ALG.SHA256)
    e.policy_secret(ESYS_TR.ENDORSEMENT, session, b"", b"", b"", 0)
    return session


def activate(e, activate_handle, ek_handle, id_object, encrypted_secret, activate_session=ESYS_TR.PASSWORD):
    """ActivateCredential, fields 1 and 2 of a blob with their sizes. Returns the inner key."""
    session = endorsement_session(e)
    inner_key = e.activate_credential(activate_handle, ek_handle, TPM2B_ID_OBJECT.unmarshal(id_object)[0],
                                      TPM2B_ENCRYPTED_SECRET.unmarshal(encrypted_secret)[0],
                                      session1=activate_session, session2=session)
    e.flush_context(session)
    return bytes(inner_key)


def import_key(e, srk_handle, inner_key, fields):
    """Import and Load, fields 3 to 5. Returns the handle of the HMAC key."""
    public = public_of(fields["key_public"])
    private = e.import_(srk_handle, inner_key, public, TPM2B_PRIVATE.unmarshal(fields["duplicate"])[0],
                        TPM2B_ENCRYPTED_SECRET.unmarshal(fields["duplicate_secret"])[0], aes_128_cfb())
    return e.load(srk_handle, private, public)


def split_blob(blob):
    """The six fields by their own sizes."""
    fields, at = {}, 0
    for field in FIELDS:
        size = 2 + int.from_bytes(blob[at:at + 2], "big")
        fields[field] = blob[at:at + size]
        same(len(fields[field]), size, f"size of {field}")
        at += size
    same(at, len(blob), "size of the blob")
    return fields


def hmac_in_tpm(tpm, blobs, texts):
    """Step 7 without our code: for each blob its key is brought into the TPM and signs the text."""
    with tpm.esys() as e:
        ek_handle, _ = create_ek(e)
        srk_handle, _ = create_srk(e)
        macs = []
        for blob, text in zip(blobs, texts):
            fields = split_blob(blob)
            inner_key = activate(e, srk_handle, ek_handle, fields["id_object"], fields["encrypted_secret"])
            key = import_key(e, srk_handle, inner_key, fields)
            macs.append(bytes(e.hmac(key, text, TPM2_ALG.SHA256)))
            e.flush_context(key)
        return macs

