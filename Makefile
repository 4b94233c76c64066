# Two commands for everyone: `make demo` and `make test`. The others are for those who work on the collection.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test lint unit sanity molecule sabotage control trouble undo rotation authority revocation lan abuse enroll powercut machine bench docs lock clean setup
SHELL := /bin/sh
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:
	@tools/setup

demo: setup ## Replay both fined practices, harden them, and show what is left
	@$(RUN) tools/demo.py up

demo-down: ## Remove everything that the demo made
	@$(RUN) tools/demo.py down

test: setup ## Run every test, as CI does
	@tools/setup newest
	@$(RUN) tests/run.py

lint: setup ## Check style and types
	@$(RUN) tests/run.py lint

unit: setup ## Run the unit tests
	@$(RUN) tests/run.py unit

sanity: setup ## Run ansible-test sanity
	@$(RUN) tests/run.py sanity

molecule: setup ## Run every Molecule scenario
	@$(RUN) tests/run.py molecule

sabotage: setup ## Break every control on real hosts; each must be named and repaired
	@$(RUN) tools/sabotage.py

control: setup ## Do so with one control, on a lab that stays: make control ID=orthanc.webdav_off
	@$(RUN) tools/control.py $(ID)

trouble: setup ## Harden under trouble: kills, bad rulesets, full disks; nothing may be lost (an hour and more)
	@$(RUN) tests/trouble/run.py

undo: setup ## Undo every surface on hosts with 50 studies, alone and beside another's hardening (half an hour)
	@$(RUN) tests/undo.py && $(RUN) tests/undo_machine.py

rotation: setup ## Rotate certificates while a modality stores one image a second; none may be lost
	@$(RUN) tests/rotation.py

authority: setup ## Let the clinic's authority be followed by another while a modality stores all along; none may be lost
	@$(RUN) tests/authority.py

revocation: setup ## Lose a modality: one run, and its key opens no door, while a workstation stores all along
	@$(RUN) tests/revocation.py

lan: setup ## Watch the whole LAN while all devices work, one without TLS by its dated exception, and end its day
	@$(RUN) tests/lan.py

abuse: setup ## Let a device leave associations idle, send 500 kinds of malformed PDUs, and bombs; nobody else may notice
	@$(RUN) tests/abuse.py

enroll: setup ## Come to a server for the first time by password, and leave it with a key in its place
	@$(RUN) tests/enroll.py

powercut: setup ## Cut the power thousands of times while disks are encrypted; no image may be lost
	@$(RUN) tests/powercut/run.py

machine: setup ## Encrypt real virtual machines, cut their power, look at every image (an hour and more)
	@$(RUN) tests/machine/run.py

bench: setup ## Measure what hardening costs its users, and the care of the migration, as ratios in one run
	@$(RUN) benchmarks/service.py
	@$(RUN) benchmarks/run.py

docs: setup ## Write the pages of docs/ anew from their sources
	@$(RUN) tools/write_docs.py

lock: setup ## Renew the pins of requirements.lock from requirements.in
	@tools/lock

clean: demo-down ## Remove environments, caches and build results
	@rm -rf .venv .venv-newest .ansible build reports
