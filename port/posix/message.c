/* SPDX-License-Identifier: MIT */
#include "port/posix/posix.h"

/* What happened, in one sentence without a capital or a stop, so that programs can put the step before it and
 * what to do behind it. No default: the compiler names a code that was forgotten here. */
const char *posix_error_text(int error)
{
    switch ((enum dps_error)error) {
    case DPS_OK:
        return "success";
    case DPS_E_SPACE:
        return "the data is larger than the room that was set aside for it";
    case DPS_E_FORMAT:
        return "a message is malformed: bytes are missing, left over or contradict each other";
    case DPS_E_LIMIT:
        return "a message is well-formed, but larger than this program accepts";
    case DPS_E_ALGORITHM:
        return "an algorithm, key size or key attribute is not allowed here";
    case DPS_E_INTEGRITY:
        return "an integrity check failed: the data was made for another key or changed on the way";
    case DPS_E_TPM_RC:
        return "the TPM refused a command";
    case DPS_E_HTTP:
        return "the other side answered with an HTTP error";
    case DPS_E_REFUSED:
        return "the service refused the registration";
    case DPS_E_ENTROPY:
        return "the system provides no random numbers";
    case DPS_E_CLOCK:
        return "the time is needed and not known";
    case DPS_E_STREAM:
        return "the connection failed or was closed before the message was complete";
    case DPS_E_TIMEOUT:
        return "there was no answer in time";
    case DPS_E_TLS:
        return "the secure connection (TLS) could not be made";
    case DPS_E_TPM_TRANSPORT:
        return "the TPM cannot be reached, or it broke off in the middle of an answer";
    case DPS_E_STORE:
        return "the store failed; nothing was written";
    case DPS_E_CONFLICT:
        return "the record has been changed by someone else since it was read";
    case DPS_E_NOT_FOUND:
        return "there is no such record";
    case DPS_E_STATE:
        return "the saved state does not fit: it is of another TPM or owner, or there was no registration "
               "yet";
    case DPS_E_NOT_PROVIDED:
        return "this platform does not provide the function";
    case DPS_E_MORE:
        return "the message is not complete";
    case DPS_E_USAGE:
        return "the arguments contradict each other or exceed a limit";
    case DPS_E_FILE:
        return "a file could not be read or written";
    }
    return "unknown error";
}
