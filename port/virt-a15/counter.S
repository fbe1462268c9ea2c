/* SPDX-License-Identifier: MIT */
/* The generic timer, whose registers C cannot name. */
    .syntax unified
    .arm
    .text
    .global virt_a15_counter
    .type virt_a15_counter, %function
virt_a15_counter:
    isb
    mrrc p15, 0, r0, r1, c14    /* CNTPCT */
    bx lr

    .global virt_a15_counter_frequency
    .type virt_a15_counter_frequency, %function
virt_a15_counter_frequency:
    mrc p15, 0, r0, c14, c0, 0  /* CNTFRQ */
    bx lr
