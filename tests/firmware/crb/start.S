/* SPDX-License-Identifier: MIT */
/* From the boot loader [Multiboot Specification 0.6.96 3.1] to crb_main, and a PC's ports, which C cannot reach. */
    .section .multiboot, "a"
    .balign 4
    .long 0x1badb002
    .long 0
    .long -0x1badb002

    .text
    .global crb_start
crb_start:
    mov $crb_stack_top, %esp
    cld
    call crb_main
    /* QEMU's isa-debug-exit ends with twice this, and 1. */
    mov $0xf4, %dx
    out %al, %dx
1:  hlt
    jmp 1b

    .global crb_port_write
crb_port_write:
    mov 4(%esp), %edx
    mov 8(%esp), %eax
    out %al, %dx
    ret

    .global crb_port_read
crb_port_read:
    mov 4(%esp), %edx
    xor %eax, %eax
    in %dx, %al
    ret
