/* SPDX-License-Identifier: MIT */
/* U-Boot's bootm and go call this as a function of C: (argc, argv), the words of the command line. It runs on a stack
 * of its own, whose size is known and which is wiped afterwards with all variables. U-Boot's registers, r9 with its global
 * data among them, are given back as they were. */
    .syntax unified
    .arm

    .section .start, "ax"
    .global uboot_start
    .type uboot_start, %function
uboot_start:
    b 1f
status:                         /* for scripts, since bootm drops what is returned: at 4 after the beginning */
    .word 0xffffffff
1:  push {r4-r11, lr}
    mov r4, sp                  /* U-Boot's stack */
    mvn r5, #0
    str r5, status

    /* Variables are zero, as C wants it, also the second time; the stack has a pattern by which its use is measured. */
    ldr r2, =uboot_bss_start
    ldr r3, =uboot_bss_end
    mov r5, #0
1:  cmp r2, r3
    strlo r5, [r2], #4
    blo 1b
    ldr r2, =uboot_stack_bottom
    ldr r3, =uboot_stack_top
    ldr r5, =0xa5a5a5a5
1:  cmp r2, r3
    strlo r5, [r2], #4
    blo 1b

    mov sp, r3
    bl uboot_main
    mov sp, r4
    str r0, status

    /* Nothing stays: variables and stack are neighbours. */
    ldr r2, =uboot_bss_start
    ldr r3, =uboot_stack_top
    mov r5, #0
1:  cmp r2, r3
    strlo r5, [r2], #4
    blo 1b
    pop {r4-r11, pc}
    .ltorg
