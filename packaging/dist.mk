# SPDX-License-Identifier: MIT
#: make dist             build/tpm-dps-VERSION.tar.gz: this source; the same bytes whoever makes it, wherever
.PHONY: dist
dist:
	$(Q)packaging/dist.sh $(BUILD)
