/* SPDX-License-Identifier: MIT */
/* main for a harness without libFuzzer: gives it every file named on the command line, and every file of every
 * directory named. Says how many there were; none is a mistake. */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static unsigned long count;

static int replay_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0 || status.st_size < 0) {
        perror(path);
        return 1;
    }
    const size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size > 0 ? size : 1); /* as long as the file, for the address sanitizer */
    const bool whole = bytes != NULL && fread(bytes, 1, size, file) == size;
    (void)fclose(file);
    if (whole) {
        (void)LLVMFuzzerTestOneInput(bytes, size);
    } else {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(bytes);
    count++;
    return whole ? 0 : 1;
}

static int replay_directory(const char *path)
{
    struct dirent **entries;
    int failed = 0;
    const int found = scandir(path, &entries, NULL, alphasort);
    if (found < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < found; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            failed |= replay_file(name);
        }
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        const bool directory = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        failed |= directory ? replay_directory(argv[i]) : replay_file(argv[i]);
    }
    printf("%lu inputs\n", count);
    return failed != 0 || count == 0;
}
