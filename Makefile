# Every task of the project. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := $(UV) run --frozen --all-packages --all-groups
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_PREFERENCE := only-system
export PRE_COMMIT_HOME := $(CURDIR)/.tools/pre-commit

STUBS := libs/contracts/src
PROTO_FILES = $(shell cd protos && find sluice -name '*.proto' | sort)

##@ Use
.PHONY: run
run: setup ## Start everything here, ingest the project's own docs, answer a question, keep serving
	$(RUN) sluice quickstart

.PHONY: demo
demo: setup ## The same, then stop
	$(RUN) sluice quickstart --exit

##@ Check
# Files of tests that run side by side; more than cores make what is timed out by design late.
WORKERS := 2

.PHONY: test
test: setup ## All tests that need no root
	$(RUN) pytest -q -n $(WORKERS) --dist loadfile --ignore tests/clients --ignore tests/chaos --ignore tests/vllm --ignore tests/cluster $(ARGS)

.PHONY: chaos
chaos: setup ## Gateways killed, stopped and upgraded in the middle of durable runs, time that passes: minutes
	$(RUN) pytest -q -n $(WORKERS) --dist loadfile tests/chaos $(ARGS)

OPENSEARCH := .cache/opensearch

$(OPENSEARCH)/.stamp: tests/opensearch/pom.xml
	@command -v java mvn >/dev/null || { echo "Java 17 and Maven are missing: apt-get install openjdk-17-jdk-headless maven"; exit 1; }
	rm -rf $(OPENSEARCH)/lib
	mvn -B -q -f tests/opensearch/pom.xml dependency:copy-dependencies -Dlibraries=$(CURDIR)/$(OPENSEARCH)/lib
	@touch $@

.PHONY: test-opensearch
test-opensearch: setup $(OPENSEARCH)/.stamp ## Keyword stores on a real OpenSearch node, from Maven artifacts; needs Java 17 and Maven
	SLUICE_REQUIRE=opensearch $(RUN) pytest -q tests/integration/retriever/test_retriever_keyword*.py $(ARGS)

CLIENTS := .cache/clients

$(CLIENTS)/.stamp: tests/clients/node/package.json tests/clients/node/package-lock.json
	@command -v node npm >/dev/null || { echo "Node 20 and npm are missing: apt-get install nodejs npm"; exit 1; }
	mkdir -p $(CLIENTS)
	cp $^ $(CLIENTS)
	npm ci --prefix $(CLIENTS) --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: clients
clients: setup $(CLIENTS)/.stamp ## What others have written against OpenAI's API, on a real gateway; needs Node and npm
	SLUICE_REQUIRE=$${SLUICE_REQUIRE:+$$SLUICE_REQUIRE,}node $(RUN) pytest -q tests/clients $(ARGS)

VLLM := .cache/vllm

# PyPI's torch for Linux brings CUDA's libraries along, which the processor does not need: most of the 6 GB.
$(VLLM)/.stamp: tests/vllm/requirements.txt tests/vllm/overrides.txt | setup
	@test "$$(uname -s)" = Linux || { echo "vLLM for processors is built for Linux alone"; exit 1; }
	@mkdir -p $(VLLM)
	@test $$(df -Pk $(VLLM) | awk 'NR == 2 {print int($$4 / 1024 ^ 2)}') -ge 8 || { echo "8 GB of disk are needed at $(VLLM)"; exit 1; }
	rm -rf $(VLLM)/venv
	$(UV) venv --quiet $(VLLM)/venv
	$(UV) pip install --python $(VLLM)/venv/bin/python --override tests/vllm/overrides.txt -r tests/vllm/requirements.txt
	@touch $@

$(VLLM)/model/.stamp: tests/vllm/make_model.py $(VLLM)/.stamp
	rm -rf $(VLLM)/model
	$(VLLM)/venv/bin/python tests/vllm/make_model.py $(VLLM)/model
	@touch $@

.PHONY: test-vllm
test-vllm: setup $(VLLM)/model/.stamp ## A real vLLM on this processor: adapters, streams, swaps under load; needs 8 GB of disk, takes minutes
	SLUICE_REQUIRE=$${SLUICE_REQUIRE:+$$SLUICE_REQUIRE,}vllm $(RUN) pytest -q tests/vllm $(ARGS)

CLUSTER := .cache/cluster

$(CLUSTER)/.stamp: tests/cluster/build.sh $(wildcard tests/cluster/kubernetes/go.* tests/cluster/etcd/go.*)
	@command -v go >/dev/null || { echo "Go 1.24 or newer is missing: https://go.dev/dl; or name a cluster: KUBECONFIG=FILE"; exit 1; }
	tests/cluster/build.sh $(CLUSTER)/bin
	@touch $@

.PHONY: cluster
cluster: $(CLUSTER)/.stamp ## Build etcd, kube-apiserver, kube-controller-manager and kubectl, once: 5 to 15 minutes; needs Go

# A cluster is only taken where it is named on the command line: tests write to it.
ifeq ($(origin KUBECONFIG),command line)
OPERATOR_TESTS := SLUICE_TEST_KUBECONFIG=$(KUBECONFIG)
else
OPERATOR_TESTS :=
test-operator: $(CLUSTER)/.stamp
endif

.PHONY: test-operator
test-operator: setup ## The operator on a real kube-apiserver: KUBECONFIG=FILE for another cluster than the one built here
	$(OPERATOR_TESTS) SLUICE_REQUIRE=$${SLUICE_REQUIRE:+$$SLUICE_REQUIRE,}cluster $(RUN) pytest -q -n $(WORKERS) --dist loadfile tests/cluster $(ARGS)

.PHONY: lint
lint: setup ## The checks that .pre-commit-config.yaml lists, on everything
	$(RUN) pre-commit run --all-files --hook-stage pre-push

.PHONY: drift
drift: protos crds reference openapi ## Fail where a generated file differs from its source
	git diff --exit-code -- $(STUBS) crds docs/reference docs/openapi.json

.PHONY: verify
verify: lint drift test ## Everything that CI runs

##@ Change
.PHONY: setup
setup: .venv/.stamp ## Install uv and the locked dependencies into this folder

.tools/.uv-$(UV_VERSION):
	@command -v python3 >/dev/null || { echo "python3 is missing: apt-get install python3 python3-venv"; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; this is $$(python3 --version)"; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.stamp: .tools/.uv-$(UV_VERSION) uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml operator/pyproject.toml cli/pyproject.toml)
	$(UV) sync --frozen --all-packages --all-groups
	@touch $@

.PHONY: hooks
hooks: setup ## Have git run the checks: quick ones before a commit, types too before a push
	$(RUN) pre-commit install

.PHONY: fmt
fmt: setup ## Format the code and fix what can be fixed
	$(RUN) ruff format
	$(RUN) ruff check --fix
	$(RUN) buf format --write protos

POLICIES := all

.PHONY: policies
policies: setup ## Build the policies in WebAssembly and compare their digests; needs Go and Rust, see policies/BUILD.md
	$(MAKE) -C policies $(POLICIES) ZIG="$(CURDIR)/$(UV) run --no-project --with ziglang==0.16.0 python -m ziglang"

.PHONY: protos
protos: setup ## Generate the stubs from protos/
	find $(STUBS)/sluice -name '*_pb2*' -delete
	$(RUN) python -m grpc_tools.protoc -Iprotos --python_out=$(STUBS) --grpc_python_out=$(STUBS) \
	  --mypy_out=quiet:$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(PROTO_FILES)

.PHONY: protos-baseline
protos-baseline: setup ## Accept the present protos as what later ones must stay compatible with
	$(RUN) buf build protos -o protos/baseline.binpb

.PHONY: crds
crds: setup ## Generate the custom resource definitions in crds/ from the models
	$(RUN) python tools/generate_crds.py

.PHONY: reference
reference: setup ## Generate docs/reference from the models
	$(RUN) python tools/generate_object_reference.py

.PHONY: openapi
openapi: setup ## Generate docs/openapi.json from the gateway's routes
	$(RUN) python tools/generate_openapi.py

.PHONY: bench
bench: setup ## Measure the whole loop on this machine
	$(RUN) python bench/loop.py

.PHONY: bench-gateway
bench-gateway: setup ## The gateway beside LiteLLM's proxy before one upstream: ARGS="--whole --long"
	$(RUN) python bench/gateway.py $(ARGS)

.PHONY: bench-folder
bench-folder: setup ## Ingest Debian's own documentation, killed twice on the way, and ask it 20 questions
	bench/debian_docs.sh .cache/debian-docs
	$(RUN) python bench/folder.py .cache/debian-docs

.PHONY: bench-guardrail
bench-guardrail: setup ## What the guardrail costs on one core, over gRPC: ARGS="--only lengths", --calls 2000 for less
	$(RUN) python bench/guardrail.py $(ARGS)

.PHONY: bench-operator
bench-operator: setup $(CLUSTER)/.stamp ## The operator with a thousand adapters on a real kube-apiserver: ARGS="--adapters 100 --pods 10 --objects 500" for less
	$(RUN) python bench/operate.py $(ARGS)

.PHONY: bench-snapshot
bench-snapshot: setup $(CLUSTER)/.stamp ## How long a change takes from the API server to every service
	$(RUN) python bench/snapshot.py $(ARGS)

.PHONY: bench-routing
bench-routing: setup ## Routing by adapter beside round robin, on doubles of vLLM: ARGS="--rate 20 --adapters 50"
	$(RUN) python bench/routing.py $(ARGS)

.PHONY: bench-journal
bench-journal: setup ## What the journal costs a run, and how fast it is verified, on SQLite and PostgreSQL
	$(RUN) python bench/journal.py $(ARGS)

.PHONY: eval-retrieval
eval-retrieval: setup ## How well each stage of retrieval ranks: DATA=folder of labelled collections, ARGS=--tune to choose parameters
	$(RUN) python bench/eval_retrieval.py --data "$(DATA)" $(ARGS)

.PHONY: train-reranker
train-reranker: setup ## Fit the embedded ranker's weights, and write their card: DATA=folder with retrieval/ and guardrails/
	$(RUN) python tools/train_reranker.py --data "$(DATA)" $(ARGS)

.PHONY: bench-rerank
bench-rerank: setup ## What each ranker brings and costs, over gRPC: DATA as for eval-retrieval, ARGS="--rankers embedded" for less
	$(RUN) python bench/rerank.py --data "$(DATA)" $(ARGS)

.PHONY: train-guardrail
train-guardrail: setup ## Train the classifier of attacks that is shipped, and write its card: DATA=folder of labelled texts
	$(RUN) python tools/train_guardrail.py --data "$(DATA)" $(ARGS)

.PHONY: eval-guardrail
eval-guardrail: setup ## What the guardrail finds and how often it is wrong: DATA as above, SLUICE_GUARD_MODELS=other classifiers' folders
	$(RUN) python bench/eval_guardrail.py --data "$(DATA)" $(ARGS)

.PHONY: bench-retrieval
bench-retrieval: setup ## What quantization, graph and ACORN cost and bring: DATA as above, ARGS="--vectors 10000" for less
	$(RUN) python bench/retrieval.py --data "$(DATA)" $(ARGS)

.PHONY: clean
clean: ## Remove what make and the demo have made
	rm -rf .venv .tools .cache .sluice .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
