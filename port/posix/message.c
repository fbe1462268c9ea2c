/* SPDX-License-Identifier: MIT */
#include "port/posix/posix.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What happened, in one sentence without a capital or a stop, so that programs can put the step before it and
 * what to do after it. No default, so that the compiler reports a code that is missing here. */
const char *posix_error_text(int error)
{
    switch ((enum bytes_error)error) {
    case BYTES_OK:
        return "success";
    case BYTES_E_SPACE:
        return "the data is larger than the buffer for it";
    case BYTES_E_FORMAT:
        return "a message is malformed: bytes are missing, left over or contradict each other";
    case BYTES_E_LIMIT:
        return "a message is well-formed, but larger than this program accepts";
    case BYTES_E_ALGORITHM:
        return "an algorithm, key size or key attribute is not allowed here";
    case BYTES_E_INTEGRITY:
        return "an integrity check failed: the data was made for another key or changed on the way";
    case BYTES_E_TPM_RC:
        return "the TPM refused a command";
    case BYTES_E_HTTP:
        return "the other side answered with an HTTP error";
    case BYTES_E_REFUSED:
        return "the service refused the registration";
    case BYTES_E_ENTROPY:
        return "the system provides no random numbers";
    case BYTES_E_CLOCK:
        return "the time is needed and not known";
    case BYTES_E_STREAM:
        return "the connection failed or was closed before the message was complete";
    case BYTES_E_TIMEOUT:
        return "there was no answer in time";
    case BYTES_E_TLS:
        return "the secure connection (TLS) could not be made";
    case BYTES_E_TPM_TRANSPORT:
        return "the TPM cannot be reached, or it broke off in the middle of an answer";
    case BYTES_E_TPM_DRIVER:
        return "the kernel refused the command, and there is no answer of the TPM";
    case BYTES_E_STORE:
        return "the store failed; nothing was written";
    case BYTES_E_CONFLICT:
        return "the record has been changed by someone else since it was read";
    case BYTES_E_NOT_FOUND:
        return "there is no such record";
    case BYTES_E_STATE:
        return "the saved state does not fit: it is of another TPM or owner, or there was no registration "
               "yet";
    case BYTES_E_NOT_PROVIDED:
        return "this platform does not provide the function";
    case BYTES_E_MORE:
        return "the message is not complete";
    case BYTES_E_USAGE:
        return "the arguments contradict each other or exceed a limit";
    case BYTES_E_FILE:
        return "a file could not be read or written";
    case BYTES_E_POLICY:
        return "a key may be used under its policy only, which is not known here (userWithAuth is not set)";
    }
    return "unknown error";
}

static const char *file_advice(int cause)
{
    switch (cause) {
    case ENOENT:
        return "see whether the name is right and its directory exists";
    case ENOTDIR:
        return "see whether the name is right: a part of it is a file, not a directory";
    case EISDIR:
        return "name a file in that directory";
    case ENOTSUP:
        return "name another file";
    case EACCES:
    case EPERM:
        return "give this user access to it (chmod, chown), or run as another user";
    case EROFS:
        return "name a file where this system can write";
    case ENOSPC:
    case EDQUOT:
        return "make room there";
    case EFBIG:
        return "raise the limit of file sizes (ulimit -f)";
    case ENAMETOOLONG:
        return "choose a shorter name";
    default:
        return "see whether the name is right and its file system in order";
    }
}

const char *posix_file_error(int cause, char *text, size_t text_size)
{
    snprintf(text, text_size, "%s. What to do: %s",
             cause == ENOTSUP ? "it is not a regular file" : strerror(cause), file_advice(cause));
    return text;
}
