/* SPDX-License-Identifier: MIT */
/* Start-up of a Cortex-A15 in its secure state: vectors, memory map, stacks, variables, then virt_a15_main. And what C
 * cannot say: coprocessor registers and semihosting. */
    .syntax unified
    .arm

    .section .vectors, "ax"
    .balign 32
vectors:
    b virt_a15_start            /* reset */
    ldr pc, =undefined
    b .                         /* supervisor call: semihosting takes those that there are */
    ldr pc, =prefetch_abort
    ldr pc, =data_abort
    b .
    b .                         /* interrupts stay masked */
    b .
    .ltorg

    .text
    .global virt_a15_start
    .type virt_a15_start, %function
virt_a15_start:
    cpsid aif, #0x13            /* supervisor, no interrupts */
    ldr r0, =vectors
    mcr p15, 0, r0, c12, c0, 0  /* VBAR */

    /* Memory in sections of 1 MiB: the image's own is normal memory, the one below it is not there, so that a stack
     * that overflows faults, and all others are devices. No caches: nothing here is in a hurry. */
    ldr r0, =virt_a15_sections
    ldr r2, =0x00000c16         /* section, device, no execution */
    mov r1, #0
1:  orr r3, r2, r1, lsl #20
    str r3, [r0, r1, lsl #2]
    add r1, r1, #1
    cmp r1, #4096
    blo 1b
    ldr r1, =virt_a15_image
    ldr r2, =0x00001c02         /* section, normal */
    orr r2, r2, r1
    add r3, r0, r1, lsr #18
    str r2, [r3]
    mov r2, #0
    str r2, [r3, #-4]
    mcr p15, 0, r2, c2, c0, 2   /* TTBCR: one table, */
    mcr p15, 0, r0, c2, c0, 0   /* TTBR0: this one */
    mov r1, #1
    mcr p15, 0, r1, c3, c0, 0   /* DACR: permissions count */
    mcr p15, 0, r2, c8, c7, 0   /* TLBIALL */
    dsb
    isb
    mrc p15, 0, r0, c1, c0, 0   /* SCTLR: */
    bic r0, r0, #0x2000         /*   vectors where VBAR says */
    orr r0, r0, #0x3            /*   MMU; unaligned accesses fault */
    mcr p15, 0, r0, c1, c0, 0
    isb

    /* Faults report from a small stack of their own. */
    cps #0x17                   /* abort */
    ldr sp, =virt_a15_fault_stack_top
    cps #0x1b                   /* undefined */
    ldr sp, =virt_a15_fault_stack_top
    cps #0x13
    ldr sp, =virt_a15_stack_top

    /* The stack gets a pattern by which its use is measured, bss zeros; data came with the image. */
    ldr r0, =virt_a15_stack_bottom
    ldr r1, =virt_a15_stack_top
    ldr r2, =0xa5a5a5a5
1:  cmp r0, r1
    strlo r2, [r0], #4
    blo 1b
    ldr r0, =virt_a15_bss_start
    ldr r1, =virt_a15_bss_end
    mov r2, #0
2:  cmp r0, r1
    strlo r2, [r0], #4
    blo 2b

    bl virt_a15_main
    bl virt_a15_exit

undefined:
    mov r0, #0
    sub r1, lr, #4
    b virt_a15_fault
prefetch_abort:
    mov r0, #1
    sub r1, lr, #4
    b virt_a15_fault
data_abort:
    mov r0, #2
    sub r1, lr, #8
    b virt_a15_fault
    .ltorg

    .global virt_a15_fault_status
    .type virt_a15_fault_status, %function
virt_a15_fault_status:
    mrc p15, 0, r0, c5, c0, 0   /* DFSR */
    bx lr

    .global virt_a15_fault_address
    .type virt_a15_fault_address, %function
virt_a15_fault_address:
    mrc p15, 0, r0, c6, c0, 0   /* DFAR */
    bx lr

    .global virt_a15_exit
    .type virt_a15_exit, %function
virt_a15_exit:
    ldr r1, =0x20026            /* ADP_Stopped_ApplicationExit */
    push {r1, r2}
    str r0, [sp, #4]
    mov r1, sp
    mov r0, #0x20               /* SYS_EXIT_EXTENDED */
    svc #0x123456
    b .
