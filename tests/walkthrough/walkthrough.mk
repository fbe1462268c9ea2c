# SPDX-License-Identifier: MIT
# The walk-through: a run in memory, all its messages, and the page that explains them.
SYSTEM_DIRS += tests/walkthrough
WALK = $(BUILD)/walkthrough
WALK_SRC = $(wildcard tests/walkthrough/*.c)
WALK_OBJ = $(WALK_SRC:%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/tests/port/flow.o $(BUILD)/obj/tests/port/support.o \
           $(TEST_OBJ) $(HOSTILE_OBJ)
WALK_PAGE = $(filter-out %_test.py %_test.js,$(wildcard $(addprefix tests/walkthrough/*.,py css js)))

#: make walkthrough      build/walkthrough.html: a run of the whole flow in which every byte is explained; and in one page
.PHONY: walkthrough
walkthrough:
	@DEPS=$(DEPS) tests/setup.sh build page
	@$(MAKE) --no-print-directory $(BUILD)/walkthrough.html

$(WALK)/run: $(WALK_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(SYSTEM_LIBS)

$(WALK)/run.jsonl: $(WALK)/run
	$(SAY) RUN $@
	$(Q)$< $(WALK)/run.pcapng >$@.new && mv $@.new $@

# Those that the model finds, for the last chapter.
$(WALK)/attacks.txt: $(wildcard tests/model/*.py) tests/model/dps.maude
	@mkdir -p $(@D)
	$(SAY) MODEL $@
	$(Q)python3 -B tests/model/model.py attacks >$@.new && mv $@.new $@

$(BUILD)/walkthrough.html: $(WALK)/run.jsonl $(WALK)/attacks.txt $(WALK_PAGE) $(BUILD)/repository
	$(SAY) PAGE $@
	$(Q)REPOSITORY='$(REPOSITORY)' python3 tests/walkthrough/walkthrough.py $< $(WALK)/attacks.txt $@

#: make check-walkthrough   the page: every byte, anchor and shell line; in a browser: accessibility (chromium, npm)
CHECK_MORE += check-walkthrough
WALK_TESTS = tests/walkthrough/page_test.py tests/walkthrough/browser_test.js
.PHONY: check-walkthrough
check-walkthrough:
	@DEPS=$(DEPS) tests/setup.sh build walkthrough
	@$(MAKE) --no-print-directory $(BUILD)/walkthrough.html $(WALK)/npm/installed
	@BUILD=$(BUILD) NODE_PATH=$(abspath $(WALK))/npm/node_modules $(PROVE) --exec tests/run.sh $(WALK_TESTS)

$(WALK)/npm/installed: $(addprefix tests/walkthrough/,package.json package-lock.json .npmrc)
	@mkdir -p $(@D)
	$(SAY) NPM $(<D)
	$(Q)cp $^ $(@D) && cd $(@D) && npm ci --ignore-scripts --no-progress --loglevel=error
	$(Q)touch $@
