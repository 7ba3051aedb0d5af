# What people, hooks and CI call. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
bin := .venv/bin
locks := infra/requirements/uv.txt infra/requirements/dev.txt
# Written when a lock has been installed, so that an unchanged lock costs nothing.
installed := .venv/.installed
SEED ?= 1
# Threads that wait for others sleep: the cores are shared with the stack (spinning cost up to five times the time).
export OMP_WAIT_POLICY ?= PASSIVE
# Compiled modules are kept, also where the environment says otherwise: without them each of a stack's processes compiles its libraries anew
# (10 s instead of 3 to start, a dozen times a stack).
export PYTHONDONTWRITEBYTECODE :=
# Files of tests run side by side, each worker with a stack of its own; the quick ones come last, so that no worker waits for the other.
WORKERS ?= 2
MILLIONS ?= 1
INPUTS ?= 1000000
here := $(if $(ASSAY_DATASETS),,and not datasets)
not_here := not gpu and not slow and not kill and not faults and not suites and not images and not vllm and not mlx and not tensorflow $(here)

.PHONY: help setup demo down check test test-unit test-slow test-kill test-faults test-suites test-images test-vllm test-mlx test-tensorflow test-gpu fuzz weaknesses bench bench-quality bench-larger bench-suite bench-queue bench-state bench-seal bench-rigor bench-decide bench-predict bench-truth bench-overhead bench-energy bench-estimate bench-gpu conformance schemas sbom lock clean

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(installed) ## Makes .venv from the hashed lock (once per lock)

$(installed): $(locks) pyproject.toml query_api/sdk/pyproject.toml query_api/verify/pyproject.toml
	test -x $(bin)/python || python3 -m venv .venv
	$(bin)/pip install --quiet --require-hashes -r infra/requirements/uv.txt
	$(bin)/uv pip sync --quiet --system-certs --require-hashes infra/requirements/dev.txt
	# The build backend is in the lock: isolation would fetch one that is not.
	$(bin)/uv pip install --quiet --system-certs --no-deps --no-build-isolation --editable . --editable query_api/sdk --editable query_api/verify
	touch $@

demo: setup ## Three small models, made here, and a real one, evaluated and ranked on the embedded stack (SEED=1)
	$(bin)/python examples/demo.py --seed $(SEED)

down: ## Ends what the demo (or assay up) started
	$(bin)/assay down

check: setup ## Format, lint, types, import rule, schema drift; known weaknesses where ADVISORIES is set
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/python -m schemas.released --check
	$(bin)/python -m query_api.operations.description --check
	$(bin)/python query_api/sdk/generate.py --check
	$(bin)/python -m query_api.cli.manual --check
	$(bin)/python -m infra.suites.page --check
	$(if $(ADVISORIES),$(bin)/python -m tests.weaknesses $(ADVISORIES))

test: check ## All tests but gpu and the slow suites below; those on data sets where ASSAY_DATASETS is set
	$(bin)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 25 -m "$(not_here)"

test-unit: setup ## The unit tests, few examples a property; without a plugin that takes seconds to load, which they do not need
	$(bin)/pytest -p no:schemathesis --hypothesis-profile quick tests/unit

test-slow: setup ## The tests that take minutes on the real stack, beside the main way
	$(bin)/pytest --numprocesses $(WORKERS) --dist loadfile --durations 25 -m "slow $(here)"

test-kill: setup ## The tests that kill processes at random moments
	$(bin)/pytest -m kill

test-suites: setup ## Every task of every suite, real tasks beside lm-eval, every program of the coding tasks; needs ASSAY_DATASETS
	$(bin)/pytest --numprocesses $(WORKERS) --dist worksteal -m suites

test-faults: setup ## The tests on stacks of their own: stores go away, disks are full, private texts are looked for everywhere
	$(bin)/pytest -m faults

fuzz: setup ## A million mutated inputs into all that takes others' bytes: events, requests, task files, YAML, cursors (INPUTS=1000000)
	$(bin)/python -m tests.fuzzing --inputs $(INPUTS)

weaknesses: setup ## Known weaknesses of what the locks name, by a database in OSV's form that is here (ADVISORIES=folder or zip)
	$(bin)/python -m tests.weaknesses $(ADVISORIES)

bench: setup ## Projector, live stream, replay and query API, measured; writes benchmarks/results
	for name in projector live replay api; do $(bin)/python -m benchmarks.$$name; done

bench-quality: setup ## The transformers engine against lm-eval's HFLM at its best batch size, with the floor; writes benchmarks/results
	$(bin)/python -m benchmarks.quality

bench-larger: setup ## The same on a model of a thousand million parameters in bfloat16, few documents (10 minutes)
	$(bin)/python -m benchmarks.larger

bench-estimate: setup ## What planning estimates of a model's memory beside what it takes, by engine and size (a few minutes)
	$(bin)/python -m benchmarks.estimate

bench-gpu: setup ## Meters beside nvidia-smi, clocks, and engines beside the bandwidth's floor, on an NVIDIA GPU; without one it says what lacks, and fails
	$(bin)/python -m benchmarks.cards
	$(bin)/assay engine install vllm
	$(bin)/python -m benchmarks.gpu

conformance: setup ## Every task of every suite against lm-eval, sample by sample, on the data of ASSAY_DATASETS; writes docs/conformance.md
	$(bin)/python -m benchmarks.conformance

bench-suite: setup ## Suite standard timed on small models, and extrapolated to classes of devices; needs ASSAY_DATASETS
	$(bin)/python -m benchmarks.suite --skip-missing

bench-queue: setup ## The queue policy simulated against first come, first served: 1,000 agents, 10,000 jobs
	$(bin)/python -m benchmarks.queueing

bench-rigor: setup ## Intervals, ranks, tests and stopping held to what their labels say, cell by cell; writes docs/rigor.md (minutes)
	$(bin)/python -m benchmarks.rigor

bench-decide: setup ## Recommendations held to a planted world: right choices, calibration, regret, what to measure next (minutes)
	$(bin)/python -m benchmarks.decide

bench-predict: setup ## Predictions held to models and machines that were left out: coverage, errors beside the roofline's
	$(bin)/python -m benchmarks.predict

bench-truth: setup ## Our load generator, AIPerf and GuideLLM against a server of known delays: reported beside true (20 minutes, gigabytes once)
	$(bin)/python -m benchmarks.truth

bench-overhead: setup ## What measuring costs of what is measured, by turns, and bytes a token (minutes)
	$(bin)/python -m benchmarks.overhead

bench-energy: setup ## What we, codecarbon and zeus make of an energy counter that wraps, is set back or away (a minute)
	$(bin)/python -m benchmarks.energy

bench-state: setup ## What a processor's start costs and holds with a long history behind it (MILLIONS=1 of scores)
	$(bin)/python -m benchmarks.state --millions $(MILLIONS)

bench-seal: setup ## Sealing, exporting and verifying a run beside SHA-256 alone, with memory at a tenth and at all of it (MILLIONS=1 of events)
	$(bin)/python -m benchmarks.seal --millions $(MILLIONS)

schemas: setup ## Writes what is made from the models: schemas/avsc, the facts' DDL, the settings' and suites' pages, the API's description, its client's models
	$(bin)/python -m schemas.released
	$(bin)/python -m tests.stored.write
	$(bin)/python -m infra.clickhouse
	$(bin)/python -m infra.describe
	$(bin)/python -m query_api.operations.description
	$(bin)/python query_api/sdk/generate.py
	$(bin)/python -m query_api.cli.manual
	$(bin)/python -m infra.suites.page

test-images: setup ## The images' own commands, run in a clean folder
	$(bin)/pytest -m images

test-vllm: setup ## Engine vllm, installed in an environment of its own (some 3 GB), beside engine transformers
	$(bin)/assay engine install vllm
	$(bin)/pytest -m vllm

test-mlx: setup ## Engine mlx, installed in an environment of its own (some 0.5 GB), beside engine transformers
	$(bin)/assay engine install mlx
	$(bin)/pytest -m mlx

test-tensorflow: setup ## Engine tensorflow, installed in an environment of its own (some 2 GB), beside engine transformers
	$(bin)/assay engine install tensorflow
	$(bin)/pytest -m tensorflow

test-gpu: setup ## Engines and meters on the NVIDIA GPUs of this machine; without one it says what lacks, and fails
	$(bin)/python -m benchmarks.cards
	$(bin)/assay engine install vllm
	$(bin)/pytest -m gpu

sbom: setup ## What each image contains, by its lock, as CycloneDX, dist/sbom/api.cdx.json and so on; of mlx_agent and tensorflow_agent what they have beside gpu_agent
	mkdir -p dist/sbom
	for image in api=core agents=services gpu_agent=gpu_agent mlx_agent=mlx tensorflow_agent=tensorflow; do \
	  PYTHONWARNINGS=ignore $(bin)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	    -o dist/sbom/$${image%=*}.cdx.json infra/requirements/$${image#*=}.txt; \
	done

lock: setup ## Resolves infra/requirements anew
	infra/requirements/lock

clean: ## Removes caches; .venv and .assay stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
