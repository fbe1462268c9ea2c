/* SPDX-License-Identifier: MIT */
/* dps-conformance --serve-tpm: a TPM of ours, honest, hostile or behind an interposer, for other people's clients. */
#ifndef TESTS_CONFORMANCE_SERVE_TPM_H
#define TESTS_CONFORMANCE_SERVE_TPM_H

/* Serve the TPM that tpm_name names (port/posix/posix.h) over TCP until a signal: at listen (ADDR:PORT; PORT 0: any
 * free pair) its commands, in swtpm's framing or the simulator's, told apart command by command; at the next port
 * swtpm's control channel and the simulator's platform port, as far as clients need them. One line on standard output
 * says where. Several clients may be connected; they share the TPM, and there is no resource manager between.
 * Returns: an exit code (enum posix_exit), with a sentence on standard error if it is not 0. */
int conformance_serve_tpm(const char *listen, const char *tpm_name);

#endif
