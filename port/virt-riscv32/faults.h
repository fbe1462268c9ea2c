/* SPDX-License-Identifier: MIT */
/* For tests/firmware/faults.c. */
#ifndef PORT_VIRT_RISCV32_FAULTS_H
#define PORT_VIRT_RISCV32_FAULTS_H

#include "port/virt-riscv32/board.h"

#define FAULTS_MAIN virt_riscv32_main
#define FAULTS_OPERATION "a0"
#define FAULTS_PARAMETERS "a1"
#define FAULTS_SEMIHOSTING                                                                                   \
    ".option push\n.option norvc\n.balign 16\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
#define FAULTS_UNDEFINED ".4byte 0xffffffff"

#endif
