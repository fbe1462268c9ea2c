/* SPDX-License-Identifier: MIT */
/* For tests/firmware/faults.c. */
#ifndef PORT_LM3S6965EVB_FAULTS_H
#define PORT_LM3S6965EVB_FAULTS_H

#include "port/lm3s6965evb/board.h"

#define FAULTS_MAIN lm3s_main
#define FAULTS_OPERATION "r0"
#define FAULTS_PARAMETERS "r1"
#define FAULTS_SEMIHOSTING "bkpt 0xab"
#define FAULTS_UNDEFINED ".inst.n 0xde00"

#endif
