/* SPDX-License-Identifier: MIT */
/* The runs of a service's nodes: challenges name them. */
#ifndef DPS_SERVICE_RUN_H
#define DPS_SERVICE_RUN_H

#include "dps/service/answer.h"
#include "dps/service/state.h"

/* A nonce is valid in the time window it was made in, and in the next one. */
#define DPS_WINDOW_SECONDS 300
uint64_t dps_window(const struct dps_service *s);

/* The runs whose challenges may still be answered: this node's first, then what the store knows of. */
#define DPS_RUNS 16
struct dps_runs {
    struct dps_run run[DPS_RUNS];
    size_t count;
};
/* This node's run alone. Returns: DPS_ACCEPTED; DPS_REFUSED_INTERNAL (no entropy). */
enum dps_refusal dps_run_own(struct dps_service *s, struct dps_runs *runs);
/* All of them, through s->draft. Returns: DPS_ACCEPTED, _INTERNAL, _STORE. */
enum dps_refusal dps_runs_load(struct dps_service *s, struct dps_runs *runs);
/* Before this node's first challenge of a time window: record in the store that it gives challenges. Uses s->draft;
 * sets a->wrote if it wrote. Returns as above. */
enum dps_refusal dps_run_announce(struct dps_service *s, const struct dps_run *own, struct dps_answer *a);

#endif
