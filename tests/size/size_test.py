# SPDX-License-Identifier: MIT
"""The size and stack tables of port/PORTING.md say what is true.

With IMAGES=yes those of the boards too, whose images and tests in BUILD/firmware must be of this tree."""
import functools
import os
import pathlib

import measure
import size
import stack
from tap import Programs

FIRMWARE = pathlib.Path(Programs.path("firmware") if os.environ.get("IMAGES") == "yes" else Programs.directory())


@functools.cache
def measured(what):
    return what.measured(pathlib.Path(Programs.directory()), FIRMWARE)


def test_variables():
    """no module has data or bss"""
    return measured(size)[1]


def test_sizes():
    """the size tables of port/PORTING.md are true"""
    yield from measure.differences("size", measured(size)[0])


def test_calls():
    """every call of the device side is known, none recurses, and its stack is within bounds"""
    return measured(stack)[1]


def test_stack():
    """the stack tables of port/PORTING.md are true"""
    yield from measure.differences("stack", measured(stack)[0])
