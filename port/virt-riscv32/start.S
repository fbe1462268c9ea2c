/* SPDX-License-Identifier: MIT */
/* Start-up of a 32-bit RISC-V processor in machine mode: faults, a guard below the stack, variables, then
 * virt_riscv32_main. And what C cannot say: semihosting. */
    .option arch, +zicsr
    .section .start, "ax"
    .global virt_riscv32_start
    .type virt_riscv32_start, @function
virt_riscv32_start:
    csrw mie, zero                      /* no interrupts */
    la t0, fault
    csrw mtvec, t0
    la t0, virt_riscv32_fault_stack_top
    csrw mscratch, t0

    /* Physical memory protection, entry 0: nobody may touch the 64 KiB below the stack, where one that overflows
     * would go; locked, so that it holds in machine mode, too. */
    la t0, virt_riscv32_stack_bottom
    li t1, 0x10000
    sub t0, t0, t1
    srli t0, t0, 2
    li t1, 0x1fff                       /* this power of two */
    or t0, t0, t1
    csrw pmpaddr0, t0
    li t0, 0x98                         /* locked, NAPOT, no access */
    csrw pmpcfg0, t0

    /* The stack gets a pattern by which its use is measured, bss zeros; data came with the image. */
    la t0, virt_riscv32_stack_bottom
    la sp, virt_riscv32_stack_top
    li t1, 0xa5a5a5a5
1:  sw t1, 0(t0)
    addi t0, t0, 4
    bltu t0, sp, 1b
    la t0, virt_riscv32_bss_start
    la t1, virt_riscv32_bss_end
2:  bgeu t0, t1, 3f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 2b
3:  call virt_riscv32_main
    call virt_riscv32_exit

    /* Reported from a small stack of its own. */
    .balign 4
fault:
    csrr sp, mscratch
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call virt_riscv32_fault

    .text
    .global virt_riscv32_exit
    .type virt_riscv32_exit, @function
virt_riscv32_exit:
    addi sp, sp, -16
    li t0, 0x20026                      /* ADP_Stopped_ApplicationExit */
    sw t0, 0(sp)
    sw a0, 4(sp)
    li a0, 0x20                         /* SYS_EXIT_EXTENDED */
    mv a1, sp
    call virt_riscv32_semihosting
1:  j 1b

    /* These three instructions, uncompressed and in one page, are the call. */
    .global virt_riscv32_semihosting
    .type virt_riscv32_semihosting, @function
    .balign 16
virt_riscv32_semihosting:
    .option push
    .option norvc
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    ret
    .option pop
