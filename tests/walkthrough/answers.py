# SPDX-License-Identifier: MIT
"""Refusals, as the chapters on what goes wrong show them."""
from derive import Value

# What tpm2_rc_decode of tpm2-tools says; the tests run it.
DECODED = {
    0x101: "tpm:error(2.0): commands not being accepted because of a TPM failure",
    0x1df: "tpm:parameter(1):integrity check failed",
    0x3df: "tpm:parameter(3):integrity check failed",
    0x3d5: "tpm:parameter(3):structure is the wrong size",
    0x2c2: "tpm:parameter(2):inconsistent attributes",
    0x12f: "tpm:error(2.0): authValue or authPolicy is not available for selected entity",
    0x143: "tpm:error(2.0): command code not supported",
    0x1c4: "tpm:parameter(1):value is out of range or is not correct for the context",
    0x99d: "tpm:session(1):a policy check failed",
    0x9a4: "tpm:session(1):the commandCode in the policy is not the commandCode of the command or the command code in "
           "a policy command references a command that is not implemented",
}


def response_name(message):
    return message.find("responseCode").value_name


def rc_value(code):
    return Value(f"rc-{code:x}", f"Response code 0x{code:03x}", DECODED[code], f"tpm2_rc_decode 0x{code:x}",
                 "As tpm2-tools decodes it.", "tpm/rc.c:tpm2_rc_decode", "P1 r1.59 39")


def refusal(message):
    """The errorCode and the message of a refusal, from its bytes."""
    code, text = (message.get(name).decode().strip(",").split(":", 1)[1] for name in ("errorCode", "body.message"))
    return code, text


def link(message, text):
    return f'<a href="#{message.anchor}">{text}</a>'
