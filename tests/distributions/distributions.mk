# SPDX-License-Identifier: MIT
# make check elsewhere. Not part of make check-all: it downloads systems, and runs make check in each of them.
DISTRIBUTIONS ?= bookworm trixie sid
MIRROR ?= http://deb.debian.org/debian
# What is run there, and how long it may take.
COMMAND ?= make check DEPS=no
MINUTES ?= 90

#: make check-distributions   make check in new Debians: DISTRIBUTIONS="bookworm trixie sid" (root or namespaces)
.PHONY: check-distributions
check-distributions:
	@DEPS=$(DEPS) tests/setup.sh distributions
	@$(MAKE) --no-print-directory dist
	@/usr/bin/python3 tests/distributions/distributions.py '$(BUILD)' '$(MIRROR)' '$(COMMAND)' '$(MINUTES)' \
	    $(DISTRIBUTIONS)
