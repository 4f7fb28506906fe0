# A thin wrapper: every command is in tasks.py, which also runs where there is no make.
PYTHON ?= python3
COMMANDS = book serve lab workshop pdf shots linkcheck test test-all test-fast test-lowest coverage bench experiments lint format setup clean

.DEFAULT_GOAL := help
.PHONY: help run topic $(COMMANDS)

help:
	@$(PYTHON) tasks.py help

# ARGS passes options on, for instance: make bench ARGS=neighbors
$(COMMANDS):
	@$(PYTHON) tasks.py $@ $(ARGS)

# make topic NAME=content
topic:
	@$(PYTHON) tasks.py topic $(NAME)

# make run ARGS=chapters/neighbors.ipynb
run:
	@$(PYTHON) tasks.py run $(ARGS)
