/* SPDX-License-Identifier: MIT */
/* For tests/firmware/faults.c. */
#ifndef PORT_VIRT_A15_FAULTS_H
#define PORT_VIRT_A15_FAULTS_H

#include "port/virt-a15/board.h"

#define FAULTS_MAIN virt_a15_main
#define FAULTS_OPERATION "r0"
#define FAULTS_PARAMETERS "r1"
#define FAULTS_SEMIHOSTING "svc 0x123456"
#define FAULTS_UNDEFINED ".inst 0xe7f000f0"

#endif
