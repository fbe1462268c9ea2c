/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CROSS_FREESTANDING_STDBOOL_H
#define TESTS_CROSS_FREESTANDING_STDBOOL_H

#define bool _Bool
#define true 1
#define false 0

#endif
