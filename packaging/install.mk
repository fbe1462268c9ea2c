# SPDX-License-Identifier: MIT
# make install and make uninstall. packaging/PACKAGING.md is the page for those who use them.
PREFIX ?= /usr/local
prefix ?= $(PREFIX)
exec_prefix ?= $(prefix)
bindir ?= $(exec_prefix)/bin
libdir ?= $(exec_prefix)/lib
includedir ?= $(prefix)/include
datarootdir ?= $(prefix)/share
datadir ?= $(datarootdir)
docdir ?= $(datarootdir)/doc/tpm-dps
mandir ?= $(datarootdir)/man
pkgconfigdir ?= $(libdir)/pkgconfig
cmakedir ?= $(libdir)/cmake/tpm-dps
bashcompletiondir ?= $(datadir)/bash-completion/completions
fishcompletiondir ?= $(datadir)/fish/vendor_completions.d
zshcompletiondir ?= $(datadir)/zsh/site-functions
systemdunitdir ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
INSTALL ?= install

# A name that the shell, sed, pkg-config or systemd would take for something else is refused before anything is written
# or removed. DESTDIR is in no file, so only a quotation mark is too much.
ODD = ' " \ | & ; < > ( ) * ? [ ] { } ` $$ % \#
is_wrong = $(or $(if $(filter-out 1,$(words x$($(1))x)),it has a space),\
             $(if $(filter /%,$($(1))),,$(if $($(1))$(filter-out %prefix,$(1)),it is not absolute)),\
             $(addprefix it has a ,$(firstword $(foreach c,$(ODD),$(findstring $(c),$($(1)))))))
ifneq ($(filter packaging install uninstall,$(MAKECMDGOALS)),)
$(foreach dir,prefix exec_prefix bindir libdir includedir docdir mandir pkgconfigdir cmakedir bashcompletiondir \
              fishcompletiondir zshcompletiondir systemdunitdir sysusersdir,$(if $(call is_wrong,$(dir)),\
    $(error $(dir)=$($(dir)) cannot be used: $(call is_wrong,$(dir)))))
$(if $(findstring ',$(DESTDIR)),$(error DESTDIR=$(DESTDIR) cannot be used: it has a '))
endif

# All that is installed is first made here.
STAGE = $(BUILD)/stage
VERSION = $(shell cat VERSION)

# ---- Libraries: each whole by itself, so that a program links one of the first three ---------------------------------

GROUND_SRC = $(CRYPTO_SRC_$(CRYPTO)) $(filter-out tpm/tools/%,$(filter crypto/% tpm/% dps/protocol/%,$(CORE_SRC)))
SRC_tpm-dps-device = $(filter-out dps/protocol/amqp%,$(GROUND_SRC)) $(filter dps/device/%,$(CORE_SRC)) \
                     port/drive.c port/link.c
SRC_tpm-dps-service = $(GROUND_SRC) $(filter dps/service/% dps/manage/%,$(CORE_SRC))
SRC_tpm-dps = $(CORE_SRC) port/drive.c port/link.c
# Without what belongs to the programs alone: reading options, and the stores in SQL, which need libraries of their own.
PROGRAMS_OWN = $(addprefix port/posix/,options.c program.c https_client.c store_postgres% store_sqlite%)
SRC_tpm-dps-posix = $(filter-out $(PROGRAMS_OWN),$(wildcard port/posix/*.c port/posix/pki/*.c))
LIBRARIES = tpm-dps-device tpm-dps-service tpm-dps tpm-dps-posix

# Compiled once more: with the prefix that names.h gives to all that they offer, and so that a shared library may have
# them in it.
NAMES = $(STAGE)/include/crypto/bytes/names.h
$(NAMES): packaging/abi.txt packaging/names.h.in packaging/names.awk
	@mkdir -p $(@D)
	$(Q)awk -f packaging/names.awk packaging/abi.txt packaging/names.h.in >$@

$(BUILD)/obj/named/%.o: %.c $(NAMES)
	@mkdir -p $(@D)
	$(SAY) CC "$< (for the libraries)"
	$(Q)$(call compile,-fPIC -include $(NAMES))

define library
$(STAGE)/lib/lib$(1).a: $(patsubst %.c,$(BUILD)/obj/named/%.o,$(sort $(SRC_$(1)))) packaging/install.mk
	@mkdir -p $$(@D)
	$$(SAY) AR $$@
	$$(Q)rm -f $$@ && $(AR) qcs $$@ $$(filter %.o,$$^)
endef
$(foreach name,$(LIBRARIES),$(eval $(call library,$(name))))

# What they offer: kept in packaging/abi.txt.
objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(SRC_$(1))))
ABI ?= packaging/abi.txt

#: make abi              what the libraries offer, into packaging/abi.txt: after a change that is meant
.PHONY: abi
abi: $(sort $(foreach name,$(LIBRARIES),$(call objects_of,$(name))))
	$(Q)python3 -B packaging/abi.py $(foreach name,$(LIBRARIES),$(name) $(call objects_of,$(name)) --) \
	    $(HEADERS) -- $(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) -std=c11 >$(ABI).new && mv $(ABI).new $(ABI)

# ---- Headers: those that do not say that they are internal -----------------------------------------------------------

folder = $(patsubst %/,%,$(dir $(1)))
POSIX_HEADERS = posix.h proxy.h pki/pem.h store.h store_memory.h
ALL_HEADERS = $(wildcard $(CORE_DIRS:%=%/*.h)) port/port.h port/drive.h port/link.h port/limits.h \
              $(addprefix port/posix/,$(POSIX_HEADERS))
HEADERS := $(filter-out $(shell grep -l 'Internal to' $(ALL_HEADERS)),$(ALL_HEADERS))

$(STAGE)/include/%.h: %.h packaging/header.awk
	@mkdir -p $(@D)
	$(Q)awk -f packaging/header.awk $< >$@ || { rm -f $@; exit 1; }

ifeq ($(CRYPTO),openssl)
$(STAGE)/include/crypto/tls_engine.h: port/openssl/crypto/tls_engine.h packaging/header.awk
	@mkdir -p $(@D)
	$(Q)awk -f packaging/header.awk $< >$@ || { rm -f $@; exit 1; }
endif

# ---- pkg-config and CMake --------------------------------------------------------------------------------------------

SUMMARY_tpm-dps-device = Device side of TPM 2.0 attestation for a device provisioning service
SUMMARY_tpm-dps-service = Service side of TPM 2.0 attestation for a device provisioning service
SUMMARY_tpm-dps = Device and service side of TPM 2.0 attestation for a device provisioning service
SUMMARY_tpm-dps-posix = POSIX port of tpm-dps: TPMs, sockets, files, clocks, entropy
LINK_tpm-dps-posix = -ltpms
REQUIRES_tpm-dps-posix = tpm-dps
link = $(or $(LINK_$(1)),$(CRYPTO_LIBS_$(CRYPTO)))
# Below the prefix, so that pkg-config --define-prefix and a moved tree work.
below_prefix = $(patsubst $(prefix)/%,$${prefix}/%,$(1))

# Made anew each time: they name directories, which may be others than last time. Removed first, for the one before may
# be root's.
.PHONY: stage-anew
$(LIBRARIES:%=$(STAGE)/pkgconfig/%.pc): $(STAGE)/pkgconfig/%.pc: packaging/tpm-dps.pc.in stage-anew
	@mkdir -p $(@D)
	$(Q)rm -f $@ && sed -e 's|@prefix@|$(prefix)|; s|@libdir@|$(call below_prefix,$(libdir))|' \
	    -e 's|@includedir@|$(call below_prefix,$(includedir))|; s|@name@|$*|; s|@version@|$(VERSION)|' \
	    -e 's|@summary@|$(SUMMARY_$*)|; s|@requires@|$(REQUIRES_$*)|; s|@link@|$(call link,$*)|' \
	    -e '/^Requires: $$/d' $< >$@

relative = $(shell python3 -c 'import os, sys; print(os.path.relpath(*sys.argv[1:]))' '$(1)' '$(cmakedir)')
$(STAGE)/cmake/%.cmake: packaging/%.cmake.in stage-anew
	@mkdir -p $(@D)
	$(Q)rm -f $@ && sed -e 's|@libdir@|$(call relative,$(libdir))|; s|@includedir@|$(call relative,$(includedir))|' \
	    -e 's|@version@|$(VERSION)|; s|@link@|$(patsubst -l%,%,$(CRYPTO_LIBS_$(CRYPTO)))|' $< >$@

# ---- Manual pages and completion, from what the programs' --help prints ----------------------------------------------

# Programs that run here, for those who build for another system: build here first, into another BUILD.
HELP_BUILD ?= $(BUILD)
INSTALLED_PROGRAMS = dps-admin dps-conformance dps-device dps-service

# % is also the directory's name: man1/dps-device.1.
define manual
$(STAGE)/man$(1)/%.$(1): $(HELP_BUILD)/% packaging/man.py packaging/help_text.py packaging/epoch.sh
	@mkdir -p $$(@D)
	$$(SAY) MAN $$@
	$$(Q)python3 -B packaging/man.py $$< $(1) "$$$$(packaging/epoch.sh)" >$$@ || { rm -f $$@; exit 1; }
endef
$(foreach section,1 8,$(eval $(call manual,$(section))))

# $(1): the shell, which wants a prefix and a suffix.
define completion
FILES_$(1) = $(patsubst %,$(STAGE)/$(1)/$(2)%$(3),$(INSTALLED_PROGRAMS))
$(STAGE)/$(1)/$(2)%$(3): $(HELP_BUILD)/% packaging/completion.py packaging/help_text.py
	@mkdir -p $$(@D)
	$$(SAY) MAKE $$@
	$$(Q)python3 -B packaging/completion.py $(1) $$< >$$@ || { rm -f $$@; exit 1; }
endef
$(eval $(call completion,bash,,))
$(eval $(call completion,fish,,.fish))
$(eval $(call completion,zsh,_,))

# ---- The unit, its user, and pages -----------------------------------------------------------------------------------

$(STAGE)/dps-service.service: port/posix/deploy/dps-service.service stage-anew
	@mkdir -p $(@D)
	$(Q)rm -f $@ && sed 's|/usr/local/bin/|$(bindir)/|' $< >$@

DOCS = README.md CHANGELOG.md SECURITY.md LICENSE spec-notes.md port/PORTING.md port/posix/deploy/OPERATIONS.md \
       packaging/PACKAGING.md
EXAMPLES = $(addprefix port/posix/deploy/,nginx.conf haproxy.cfg grafana.json)
STAGED_DOCS = $(addprefix $(STAGE)/doc/,$(notdir $(DOCS)))
$(STAGED_DOCS): packaging/document.py $(DOCS) $(EXAMPLES)
	@mkdir -p $(@D)
	$(Q)python3 -B packaging/document.py $(@D) $(DOCS) -- $(EXAMPLES)

# ---- What goes where -------------------------------------------------------------------------------------------------

PLACES = programs libraries pc cmake man1 man8 bash fish zsh unit users docs examples
FILES_programs = $(PROGRAMS) $(CONFORMANCE)
FILES_libraries = $(LIBRARIES:%=$(STAGE)/lib/lib%.a)
FILES_pc = $(LIBRARIES:%=$(STAGE)/pkgconfig/%.pc)
FILES_cmake = $(STAGE)/cmake/tpm-dps-config.cmake $(STAGE)/cmake/tpm-dps-config-version.cmake
FILES_man1 = $(patsubst %,$(STAGE)/man1/%.1,dps-admin dps-conformance dps-device)
FILES_man8 = $(STAGE)/man8/dps-service.8
FILES_unit = $(STAGE)/dps-service.service
FILES_users = packaging/dps-service.conf
FILES_docs = $(STAGED_DOCS)
FILES_examples = $(EXAMPLES)
DIR_programs = $(bindir)
DIR_libraries = $(libdir)
DIR_pc = $(pkgconfigdir)
DIR_cmake = $(cmakedir)
DIR_man1 = $(mandir)/man1
DIR_man8 = $(mandir)/man8
DIR_bash = $(bashcompletiondir)
DIR_fish = $(fishcompletiondir)
DIR_zsh = $(zshcompletiondir)
DIR_unit = $(systemdunitdir)
DIR_users = $(sysusersdir)
DIR_docs = $(docdir)
DIR_examples = $(docdir)/examples

# Headers keep their folders, each a place of its own.
HEADER_DIR = $(includedir)/tpm-dps
HEADER_DIRS := $(sort $(call folder,$(HEADERS)))
define header_place
PLACES += $(1)
FILES_$(1) = $(foreach header,$(HEADERS) crypto/bytes/names.h,\
                 $(if $(filter $(1),$(call folder,$(header))),$(STAGE)/include/$(header)))
DIR_$(1) = $(HEADER_DIR)/$(1)
endef
$(foreach dir,$(HEADER_DIRS),$(eval $(call header_place,$(dir))))

.PHONY: packaging install uninstall
packaging: all $(foreach place,$(PLACES),$(FILES_$(place)))

# A directory that is there keeps its mode, which install -d would change.
define put
	$(Q)[ -d '$(DESTDIR)$(DIR_$(1))' ] || $(INSTALL) -d '$(DESTDIR)$(DIR_$(1))'
	$(Q)$(INSTALL) -m $(if $(filter programs,$(1)),755,644) $(FILES_$(1)) '$(DESTDIR)$(DIR_$(1))'

endef
define remove
	$(Q)rm -f $(patsubst %,'$(DESTDIR)$(DIR_$(1))/%',$(notdir $(FILES_$(1))))

endef
# The directories that are tpm-dps's alone.
OWN_DIRS = $(HEADER_DIR) $(addprefix $(HEADER_DIR)/,$(HEADER_DIRS) $(call folder,$(HEADER_DIRS))) $(cmakedir) \
           $(docdir)/examples $(docdir)

#: make install          PREFIX=/usr/local DESTDIR= and GNU's directories (packaging/PACKAGING.md)
install: packaging
	$(foreach place,$(PLACES),$(call put,$(place)))

#: make uninstall        remove what make install has installed with the same variables
uninstall:
	$(foreach place,$(PLACES),$(call remove,$(place)))
	$(Q)printf '%s\n' $(OWN_DIRS) | sort -ru | while read -r dir; do \
	    [ ! -d '$(DESTDIR)'"$$dir" ] || rmdir '$(DESTDIR)'"$$dir" 2>/dev/null || :; done
