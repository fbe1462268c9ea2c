/* SPDX-License-Identifier: MIT */
/* The device engine and the service joined in memory: every message passes through here, where tests split it,
 * change it, count it or stop it. The TPM is a real one (libtpms in this process); there is no network. */
#ifndef TESTS_PORT_FLOW_H
#define TESTS_PORT_FLOW_H

#include "dps/device/engine.h"
#include "dps/protocol/http.h"
#include "dps/service/answer.h"
#include "dps/service/state.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"

#define FLOW_NOW UINT64_C(1800000000)
#define FLOW_SCOPE "0ne00000A0A"
#define FLOW_HOST "dps.example"

struct flow {
    struct posix_tpm tpm;
    struct port_tpm tpm_port;
    const char *tpm_name;
    struct posix_memory memory;
    struct crypto_drbg drbg;
    struct dps_service_config service_config;
    struct dps_service service;
    struct dps_device_config config;
    struct dps_device device;
    uint8_t record[1024]; /* what the device has saved */
    size_t record_len;
    unsigned saves;
    uint64_t now;
    bool no_clock;
    bool hardened_srk; /* flow_enroll then demands it */
    uint64_t date_max; /* of the service's certificate; 0: not known */
    size_t split;      /* bytes that travel at a time; 0: all */

    /* the server's side of the connection */
    struct dps_http http;
    uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t request_len;
    uint8_t response[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t response_len, response_sent;
    struct dps_answer answer;
    uint8_t last_request[DPS_HTTP_HEAD_MAX]; /* the last whole request, for replaying */
    size_t last_request_len;

    /* what has happened */
    unsigned wants;        /* steps of the driver */
    unsigned nv_writes;    /* EvictControl, NV_*, HierarchyChangeAuth, Clear */
    unsigned tpm_commands; /* without those of the checks below */
    uint32_t tpm_code;     /* of the last of them */
    struct {
        uint32_t code;
        unsigned count;
    } tpm_counts[24]; /* of each code */
    uint64_t waited_ms;

    /* tests may intervene here; null: they do not */
    void (*change_response)(struct flow *f, uint8_t *response, size_t *len); /* of the TPM */
    void (*change_answer)(struct flow *f); /* of the service: response, response_len */
    unsigned counter;                      /* theirs */
    unsigned at;                           /* theirs */
    bool touched;                          /* theirs */
};

/* A fresh TPM in a directory of its own, a service with one enrollment of it ("device-1"), an unstarted device.
 * persist: EK and SRK are made persistent, as an owner would. Returns 0 or the line that failed. */
int flow_open(struct flow *f, const char *directory, bool persist);
void flow_close(struct flow *f);
/* Power the TPM off and on: what was transient is gone. */
int flow_reset_tpm(struct flow *f);

/* Drive the engine until it is done, has failed, or has had `limit` wants. Returns the last want. */
enum dps_want flow_run(struct flow *f, unsigned limit);
/* Register from the start and drive to the end. Returns the engine's error. */
int flow_register(struct flow *f);
/* After one of the other beginnings: drive it to its end. Returns the engine's error. */
int flow_finish(struct flow *f);

/* Count commands from zero again. */
void flow_count_anew(struct flow *f);
/* Was the last command the nth of this code? Tests find commands by it, since others may come in between. */
bool flow_is_at(const struct flow *f, uint32_t code, unsigned nth);

/* Give the service raw bytes of one request; its answer is in f->answer and f->response. */
void flow_ask(struct flow *f, const void *request, size_t len);
/* Put an enrollment (JSON) into the store. */
int flow_enroll(struct flow *f, const char *registration_id, struct bytes ek, const char *more);

/* A registration request with the given keys; token null: none. Returns its length. */
size_t flow_write_registration(uint8_t *out, size_t size, struct bytes ek, struct bytes srk,
                               const char *token);

/* Handles of one kind that the TPM has: TPM2_HT of transient objects, loaded sessions, persistent objects. */
size_t flow_handles(struct flow *f, uint32_t first);

extern const uint8_t flow_nonce[32];

#endif
