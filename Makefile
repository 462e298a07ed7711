# One word a job. Each target makes the environment it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test proof bench lint types imports lock docs peers chart differential mutation clean

demo: $(STAMP) ## the main job, end to end
	@$(BIN)/python examples/demo/demo.py

test: $(STAMP) ## every test, no root, under 8 minutes
	@$(BIN)/python -m pytest -q -n auto --dist loadgroup

proof: $(STAMP) ## the long counts
	@PROOF=1 $(BIN)/python -m pytest -q -n auto --dist loadgroup

bench: $(STAMP) ## ratios against the cryptographic floor → build/bench.json
	@$(BIN)/python -m benchmarks

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy && cd examples/demo && ../../$(BIN)/mypy --strict demo.py sealed.py

imports: $(STAMP)
	@$(BIN)/lint-imports

docs: $(STAMP) ## generated reference pages
	@$(BIN)/python -m docs.generate

lock: $(STAMP) ## write the hashed requirement files again
	@for set in runtime dev build peer-nvidia peer-dcap-qvl mutation; do \
	  $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-strip-extras --no-header --quiet \
	    --python-version 3.11 requirements/$$set.in -o requirements/$$set.txt; done

PEER_NVIDIA := build/peers/nvidia
PEER_DCAP_QVL := build/peers/dcap-qvl
PEER_GO := build/peers/go
peers: $(PEER_NVIDIA)/.installed $(PEER_DCAP_QVL)/.installed ## NVIDIA's own verifiers and dcap-qvl, in environments of their own

$(PEER_NVIDIA)/.installed: requirements/peer-nvidia.txt
	@test -x $(PEER_NVIDIA)/bin/python || $(PYTHON) -m venv $(PEER_NVIDIA)
	@echo "setting up $(PEER_NVIDIA) (once)"
	@$(PEER_NVIDIA)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peer-nvidia.txt
	@touch $@

$(PEER_DCAP_QVL)/.installed: requirements/peer-dcap-qvl.txt
	@test -x $(PEER_DCAP_QVL)/bin/python || $(PYTHON) -m venv $(PEER_DCAP_QVL)
	@echo "setting up $(PEER_DCAP_QVL) (once)"
	@$(PEER_DCAP_QVL)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peer-dcap-qvl.txt
	@touch $@

$(PEER_GO)/.installed: $(wildcard tests/peers/go/go.* tests/peers/go/*/*.go)
	@echo "building $(PEER_GO)"
	@mkdir -p $(PEER_GO) && cd tests/peers/go && \
	  GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 go build -o $(CURDIR)/$(PEER_GO)/ ./judgesnp ./judgetdx
	@touch $@

$(PEER_GO)/readear: $(wildcard tests/peers/go/readear/*) ## reads a result with Veraison's own package; needs Go
	@mkdir -p $(PEER_GO) && cd tests/peers/go/readear && \
	  GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 go build -o $(CURDIR)/$@ .

HELM := $(PEER_GO)/helm
$(HELM): ## of the module that Helm is released as; minutes, once
	@mkdir -p $(PEER_GO) && GOBIN=$(CURDIR)/$(PEER_GO) GOTOOLCHAIN=local CGO_ENABLED=0 go install helm.sh/helm/v3/cmd/helm@v3.18.6

chart: $(STAMP) $(HELM) ## the Helm chart, linted and rendered; needs Go
	@$(HELM) lint --strict --quiet deploy/helm/kbs --values tests/deploy/values.yaml
	@$(BIN)/python -m tests.deploy.chart $(HELM)

differential: $(STAMP) peers $(PEER_GO)/.installed ## our verdicts beside the peers' → docs/differential.md; needs Go
	@$(BIN)/python -m tests.differential

MUTATION := build/mutation
mutation: $(MUTATION)/.installed ## what the tests of the verifier do not notice → docs/mutation.md; hours
	@test ! -e ../shared || ln -sfn ../shared shared
	@$(MUTATION)/bin/mutmut run || true
	@$(MUTATION)/bin/python -m tests.mutation

$(MUTATION)/.installed: requirements/dev.txt requirements/mutation.txt
	@test -x $(MUTATION)/bin/python || $(PYTHON) -m venv $(MUTATION)
	@echo "setting up $(MUTATION) (once)"
	@$(MUTATION)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(MUTATION)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutation.txt
	@touch $@

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info
