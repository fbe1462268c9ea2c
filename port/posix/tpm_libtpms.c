/* SPDX-License-Identifier: MIT */
/* libtpms: a whole TPM 2.0 inside this process.
 *
 * It keeps its state in named blobs that it hands to callbacks; each is one file of the state directory. The blob
 * changes whenever the TPM's non-volatile memory does, and is replaced atomically: a crash leaves the TPM before or
 * after a command, never a broken one. The files hold the TPM's seeds, so they are as secret as a real TPM's flash. */
#include "port/posix/private.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include <errno.h>
#include <fcntl.h>
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <libtpms/tpm_memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far above the one or two KiB that libtpms keeps; a file larger than this is not its state. */
#define STATE_MAX (1024L * 1024)
/* TPM_PT_MAX_COMMAND_SIZE of libtpms. */
#define COMMAND_MAX 4096

/* The library is one TPM per process with global state of its own, and its callbacks carry no context: hence the only
 * global variable of the transports. -1: not open. */
static int state_directory = -1;

static TPM_RESULT nvram_init(void)
{
    return TPM_SUCCESS;
}

static TPM_RESULT load_from(int fd, unsigned char **data, uint32_t *length)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > STATE_MAX) {
        return TPM_FAIL;
    }
    size_t size = (size_t)st.st_size;
    /* libtpms frees what it is given with its own allocator. */
    if (TPM_Malloc(data, (uint32_t)size) != TPM_SUCCESS) {
        return TPM_FAIL;
    }
    size_t len;
    if (posix_read_all(fd, *data, size, &len) != 0 || len != size) {
        bytes_wipe(*data, size);
        TPM_Free(*data);
        *data = NULL;
        return TPM_FAIL;
    }
    *length = (uint32_t)size;
    return TPM_SUCCESS;
}

static TPM_RESULT nvram_load(unsigned char **data, uint32_t *length, uint32_t tpm_number, const char *name)
{
    (void)tpm_number;
    *data = NULL;
    *length = 0;
    int fd = openat(state_directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    /* For libtpms TPM_RETRY means "there is none yet, make a new TPM"; anything else ends in failure mode. */
    if (fd < 0) {
        return errno == ENOENT ? TPM_RETRY : TPM_FAIL;
    }
    TPM_RESULT result = load_from(fd, data, length);
    (void)close(fd);
    return result;
}

static TPM_RESULT nvram_store(const unsigned char *data, uint32_t length, uint32_t tpm_number,
                              const char *name)
{
    (void)tpm_number;
    return posix_file_replace_at(state_directory, name, bytes_of(data, length), 0600) == 0 ? TPM_SUCCESS
                                                                                           : TPM_FAIL;
}

static TPM_RESULT nvram_delete(uint32_t tpm_number, const char *name, TPM_BOOL must_exist)
{
    (void)tpm_number;
    if (unlinkat(state_directory, name, 0) == 0) {
        return TPM_SUCCESS;
    }
    return errno == ENOENT && !must_exist ? TPM_SUCCESS : TPM_FAIL;
}

static TPM_RESULT io_init(void)
{
    return TPM_SUCCESS;
}

static TPM_RESULT io_locality(TPM_MODIFIER_INDICATOR *locality, uint32_t tpm_number)
{
    (void)tpm_number;
    *locality = 0;
    return TPM_SUCCESS;
}

static TPM_RESULT io_physical_presence(TPM_BOOL *present, uint32_t tpm_number)
{
    (void)tpm_number;
    *present = 0;
    return TPM_SUCCESS;
}

static TPM_RESULT start_library(void)
{
    struct libtpms_callbacks callbacks = {
        .sizeOfStruct = sizeof callbacks,
        .tpm_nvram_init = nvram_init,
        .tpm_nvram_loaddata = nvram_load,
        .tpm_nvram_storedata = nvram_store,
        .tpm_nvram_deletename = nvram_delete,
        .tpm_io_init = io_init,
        .tpm_io_getlocality = io_locality,
        .tpm_io_getphysicalpresence = io_physical_presence,
    };
    TPM_RESULT result = TPMLIB_ChooseTPMVersion(TPMLIB_TPM_VERSION_2);
    if (result == TPM_SUCCESS) {
        result = TPMLIB_RegisterCallbacks(&callbacks);
    }
    if (result == TPM_SUCCESS) {
        result = TPMLIB_MainInit();
    }
    return result;
}

/* Two processes with one state would undo each other's changes: a key made by one would be gone. The lock ends
 * with the process, however it ends. */
static int open_directory(const char *directory, char *why, size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        snprintf(why, why_size, "cannot make the TPM's state directory %s: %s", directory,
                 posix_file_error(errno, reason, sizeof reason));
        return -1;
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(why, why_size, "cannot open the TPM's state directory %s: %s", directory,
                 posix_file_error(errno, reason, sizeof reason));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, why_size,
                 "the TPM in %s is in use by another process. What to do: wait for its end, or name another "
                 "directory",
                 directory);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int posix_libtpms_open(const char *directory, int *fd, char *why, size_t why_size)
{
    if (state_directory >= 0) {
        snprintf(why, why_size, "libtpms is open already: there can be one in a process");
        return BYTES_E_TPM_TRANSPORT;
    }
    state_directory = open_directory(directory, why, why_size);
    if (state_directory < 0) {
        return BYTES_E_FILE;
    }
    TPM_RESULT result = start_library();
    if (result != TPM_SUCCESS) {
        snprintf(
            why, why_size,
            "libtpms does not start (0x%x): %s may hold the state of another program or version, or a broken "
            "one. What to do: name another directory; an empty one gets a new TPM",
            (unsigned)result, directory);
        posix_libtpms_close(state_directory);
        return BYTES_E_FILE;
    }
    *fd = state_directory;
    return 0;
}

int posix_libtpms_transact(struct bytes command, uint8_t *response, size_t capacity, size_t *response_len)
{
    /* The library asks for a command that it may change. */
    uint8_t copy[COMMAND_MAX];
    if (state_directory < 0 || command.len > sizeof copy) {
        return BYTES_E_TPM_TRANSPORT;
    }
    memcpy(copy, command.p, command.len);
    unsigned char *answer = NULL;
    uint32_t len = 0, allocated = 0;
    TPM_RESULT result = TPMLIB_Process(&answer, &len, &allocated, copy, (uint32_t)command.len);
    int error = 0;
    bool bad;
    if (result != TPM_SUCCESS) {
        error = BYTES_E_TPM_TRANSPORT;
    } else if (len == 0 || tpm2_response_size(bytes_of(answer, len), len, &bad) != len) {
        error = BYTES_E_FORMAT;
    } else if (len > capacity) {
        error = BYTES_E_SPACE;
    }
    if (error == 0) {
        memcpy(response, answer, len);
        *response_len = len;
    }
    bytes_wipe(copy, command.len);
    if (answer != NULL) {
        bytes_wipe(answer, allocated);
    }
    free(answer);
    return error;
}

void posix_libtpms_close(int fd)
{
    TPMLIB_Terminate();
    state_directory = -1;
    (void)close(fd);
}
