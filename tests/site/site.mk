# SPDX-License-Identifier: MIT
# The site: the walk-through, the lab, the documents and the figures as static pages.
SITE_OUT = $(BUILD)/site
# Where a web view has the files, for links to them: https://HOST/OWNER/NAME/blob/BRANCH. Without it the site has them.
REPOSITORY ?=
# Pages are made again if it is another one.
$(BUILD)/repository: always
	@mkdir -p $(@D)
	@echo '$(REPOSITORY)' | cmp -s - $@ || echo '$(REPOSITORY)' >$@
.PHONY: always

site_env = SITE=yes REPOSITORY='$(REPOSITORY)'

#: make site             build/site: walk-through, lab, documents and figures as static pages (python3-markdown-it);
#:                       REPOSITORY=https://HOST/OWNER/NAME/blob/BRANCH: links to files lead there
.PHONY: site
site:
	@DEPS=$(DEPS) tests/setup.sh build page lab site
	@$(MAKE) --no-print-directory $(BUILD)/walkthrough.html $(LAB)/lab.wasm
	@$(MAKE) --no-print-directory site-pages

.PHONY: site-pages
site-pages:
	@mkdir -p $(SITE_OUT)
	$(SAY) SITE $(SITE_OUT)
	$(Q)$(site_env) python3 tests/walkthrough/walkthrough.py $(WALK)/run.jsonl $(WALK)/attacks.txt $(SITE_OUT)/walkthrough.html
	$(Q)$(site_env) /usr/bin/python3 tests/lab/lab_page.py $(LAB)/lab.wasm $(SITE_OUT)/lab.html
	$(Q)$(site_env) /usr/bin/python3 tests/site/make_site.py $(BUILD)

#: make check-site       its links, anchors and looks (chromium, npm)
CHECK_MORE += check-site
SITE_TESTS = tests/site/site_test.py tests/site/pages_test.js
.PHONY: check-site
check-site:
	@DEPS=$(DEPS) tests/setup.sh build page lab site lab_browser
	@$(MAKE) --no-print-directory $(BUILD)/walkthrough.html $(LAB)/lab.wasm $(WALK)/npm/installed
	@$(MAKE) --no-print-directory site-pages
	@BUILD=$(BUILD) NODE_PATH=$(abspath $(WALK))/npm/node_modules $(PROVE) --jobs 2 --exec tests/run.sh $(SITE_TESTS)
