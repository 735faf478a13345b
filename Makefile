# What can be done here. `make help` lists it.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test lint unit model manifests alerts chart cluster cluster-down e2e e2e-alerts soak bench bench-locks bench-fleet crds dist images reproducible

CLUSTER := tests/cluster/cluster
CHART := charts/chainlink-operator
# An error is told by its sentence, not by where in the code it was noticed.
export RUST_LIB_BACKTRACE ?= 0

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## See an upgrade and a failover on a real cluster; leaves the cluster up.
	@echo "Building the operator, the simulated node and the demo: about 8 minutes on 2 cores when nothing is cached."
	@tests/e2e/build.py
	@cargo run --quiet --locked -p e2e --bin demo

demo-down: cluster-down ## Remove everything that the demo brought up.

test: lint unit manifests alerts chart e2e ## Everything that has to pass: about 40 minutes on a fresh machine, most of it builds.
	@echo "All tests passed. The test cluster is still up: make cluster-down removes it."

lint: ## Format and lints.
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# Most of them wait for a clock: four at a time on two cores.
unit: postgres ## Tests that need no cluster: rules, model walk, fake API server, simulator beside real transcripts, the plugin.
	RUST_TEST_THREADS=4 cargo test --locked -p chainlink-operator -p chainlink-simulator -p kubectl-chainlink

.PHONY: postgres
postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(CLUSTER) packages postgresql

model: ## The deep walks of the planner's model, for a change of the planner: about 11 minutes on 2 cores, without the build.
	cargo test --locked --release -p chainlink-operator --lib plan::tests::model::deep::deep_ -- --ignored --show-output

manifests: ## Argo CD's scripts, run in its Lua engine; what Helm and Flux make of a status; what Flux and Renovate make of releases; the workflow of the release.
	cd tests/manifests && go test -count=1 ./argocd ./kstatus ./updates ./workflow

cluster: ## Bring up the real cluster (the first time builds Kubernetes: about 20 minutes).
	$(CLUSTER) up >/dev/null

cluster-down: ## Remove the real cluster.
	$(CLUSTER) down

# As a release of Helm 3 is built: else it calls itself the Helm of Kubernetes 1.20, and refuses the chart.
HELM3 := target/helm3
HELM3_OF := helm.sh/helm/v3/internal/version.version=v3.22.0
HELM3_OF += $(foreach part,chartutil lint/rules,helm.sh/helm/v3/pkg/$(part).k8sVersionMajor=1 helm.sh/helm/v3/pkg/$(part).k8sVersionMinor=37)
$(HELM3): tests/manifests/helm3/go.mod tests/manifests/helm3/go.sum
	@echo "Building Helm 3: about 3 minutes on 2 cores when nothing is cached."
	@cd tests/manifests/helm3 && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -buildvcs=false -trimpath \
	  -ldflags "-s -w $(addprefix -X ,$(HELM3_OF))" -o $(CURDIR)/$(HELM3) helm.sh/helm/v3/cmd/helm 2> >(grep -v '^go: downloading ' >&2)

# Of Debian's package: only its two programs, so that no server is set up and started.
PROMETHEUS := target/prometheus
$(PROMETHEUS)/promtool:
	@echo "Fetching Debian's package prometheus: 20 MB."
	@mkdir -p $(PROMETHEUS) && cd $(PROMETHEUS) && rm -f *.deb && \
	  { apt-get download -qq prometheus >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq prometheus; }; } && \
	  dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components 3 ./usr/bin/prometheus ./usr/bin/promtool && \
	  rm prometheus_*.deb && touch promtool

alerts: $(PROMETHEUS)/promtool ## The alerts of the chart: each fires and ends when it should, by Prometheus' own tool.
	cd tests/manifests && PROMETHEUS=$(CURDIR)/$(PROMETHEUS) go test -count=1 ./prometheus

chart: $(HELM3) ## Lint and render the chart by Helm 4 and Helm 3, and look at what they render.
	$(CLUSTER) build
	@helm4="$$($(CLUSTER) tools)/helm"; \
	for helm in "$$helm4" "$(CURDIR)/$(HELM3)"; do \
	  for values in $(CHART)/ci/*.yaml; do \
	    "$$helm" lint --strict $(CHART) --values "$$values" >/dev/null; \
	    echo "chart lints with $$values ($$("$$helm" version --short))"; \
	  done; \
	  (cd tests/manifests && HELM="$$helm" go test -count=1 ./chart); \
	done; \
	cd tests/manifests && HELM="$$helm4" go test -count=1 ./release

# Three run at a time (tests/e2e/src/company.rs). The other threads are for those that wait until nobody else runs.
e2e: ## The operator on the real cluster, installed by its chart (make e2e ONLY=upgrades: some of it).
	cargo test --locked -p e2e -- --include-ignored --test-threads 20 $(ONLY)

e2e-alerts: ## The same beside a Prometheus that knows the alerts: which fired, where, and whether they ended.
	tests/e2e/alerts.py $(MAKE) --no-print-directory e2e ONLY="$(ONLY)"

soak: ## Counted repetitions on the real cluster: gaps, kills, lost machines, a resource at rest. About 15 minutes.
	cargo run --quiet --locked -p e2e --bin soak

# TIMES=1 ONLY=operator: less of it. What is measured is added to what $(BENCH) has already.
TIMES ?= 15
BENCH := target/bench
bench: ## The operator beside what people do without it, with figures (docs/performance.md). About an hour.
	cargo run --quiet --release --locked -p e2e --bin bench -- --times $(TIMES) $(addprefix --only ,$(ONLY)) --cases --out $(BENCH)

bench-locks: ## What the times of the lease cost and buy, by simulated nodes beside PostgreSQL (docs/locks.md). About 20 minutes.
	cargo test --quiet --locked -p chainlink-simulator --test it -- --ignored --nocapture locks::

IMAGES := target/images
images: ## The operator's image and the simulated node's, as archives: kind load image-archive, docker load.
	@tests/e2e/build.py
	@mkdir -p $(IMAGES)
	@for program in chainlink-operator chainlink-simulator; do strip -o $(IMAGES)/$$program target/debug/$$program; done
	@$(CLUSTER) image --out $(IMAGES)/operator.tar --name docker.io/chainlink-operator/chainlink-operator:try \
	  --entrypoint /chainlink-operator --cmd run --user 65532 $(IMAGES)/chainlink-operator:/chainlink-operator
	@$(CLUSTER) image --out $(IMAGES)/node.tar --name docker.io/smartcontract/chainlink:2.18.0 \
	  --name docker.io/smartcontract/chainlink:2.19.0 --env 'SIMULATOR_VERSION={tag}' --entrypoint chainlink \
	  $(IMAGES)/chainlink-simulator:/usr/local/bin/chainlink /bin/sh:/bin/sh /usr/bin/base64:/bin/base64 /bin/cat:/bin/cat /bin/mkdir:/bin/mkdir
	@ls $(IMAGES)/*.tar

# Of a release: IMAGE is the repository of the image, DIGEST its sha256:…, HELM the program. With REPOSITORY=OWNER/NAME the
# plugin's archives, which make plugin has made for both platforms, are of it, too.
HELM ?= $$($(CLUSTER) tools)/helm
DIST := target/dist
dist: ## The chart for one image, as an archive and as install.yaml, the plugin, and what both programs are made of (docs/releasing.md).
	@test -n "$(IMAGE)" && test -n "$(DIGEST)" || { echo "say make dist IMAGE=REGISTRY/chainlink-operator DIGEST=sha256:…" >&2; exit 1; }
	@rm -rf $(DIST) && mkdir -p $(DIST) && cp -r $(CHART) $(DIST)/chart
	@sed -i -e '/^image:/,/^imagePullSecrets:/s|^  repository: ""$$|  repository: $(IMAGE)|' \
	  -e '/^image:/,/^imagePullSecrets:/s|^  digest: ""$$|  digest: $(DIGEST)|' $(DIST)/chart/values.yaml
	@sed -i 's|^annotations:$$|&\n  artifacthub.io/images: \|\n    - name: operator\n      image: $(IMAGE)@$(DIGEST)\n      platforms: [linux/amd64, linux/arm64]|' \
	  $(DIST)/chart/Chart.yaml
	@helm="$(HELM)"; \
	"$$helm" package $(DIST)/chart --destination $(DIST) >/dev/null; \
	{ printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: chainlink-operator\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n'; \
	  "$$helm" template chainlink-operator $(DIST)/chart --namespace chainlink-operator --no-hooks; } > $(DIST)/install.yaml
	@rm -r $(DIST)/chart
	@.github/sbom.py chainlink-operator > $(DIST)/sbom.cdx.json
	@if test -n "$(REPOSITORY)"; then \
	  $(MAKE) --no-print-directory krew && cp $(ARCHIVES) $(PLUGIN)/chainlink.yaml $(DIST)/ && \
	  .github/sbom.py kubectl-chainlink > $(DIST)/kubectl-chainlink.cdx.json; \
	fi
	@cd $(DIST) && sha256sum -- * > SHA256SUMS && ls

# Of the plugin: TARGET is Rust's name of the platform.
TARGET ?= x86_64-unknown-linux-gnu
PLUGIN := target/plugin
ARCHIVES = $(foreach target,x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu,$(PLUGIN)/kubectl-chainlink-$(target).tar.gz)
# The workspace has one.
VERSION ?= $(shell sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml)
.PHONY: plugin krew
plugin: ## kubectl chainlink, and an archive of it (docs/kubectl-chainlink.md).
	@program="$$(.github/compile kubectl-chainlink $(TARGET))" && mkdir -p $(PLUGIN) && cp "$$program" LICENSE $(PLUGIN)/
	@tar --create --gzip --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
	  --file $(PLUGIN)/kubectl-chainlink-$(TARGET).tar.gz --directory $(PLUGIN) kubectl-chainlink LICENSE

krew: ## The manifest by which krew installs those archives: make krew REPOSITORY=OWNER/NAME.
	@test -n "$(REPOSITORY)" || { echo "say make krew REPOSITORY=OWNER/NAME" >&2; exit 1; }
	@for one in $(ARCHIVES); do \
	  test -f "$$one" || { echo "there is no $$one: say make plugin TARGET=… for each platform first" >&2; exit 1; }; \
	done
	@sum() { sha256sum "$(PLUGIN)/kubectl-chainlink-$$1.tar.gz" | cut -d ' ' -f 1; }; \
	amd64="$$(sum x86_64-unknown-linux-gnu)"; arm64="$$(sum aarch64-unknown-linux-gnu)"; \
	sed -e '1d' -e 's|REPOSITORY|$(REPOSITORY)|' -e 's|VERSION|$(VERSION)|' -e "s|SUM_AMD64|$$amd64|" -e "s|SUM_ARM64|$$arm64|" \
	  kubectl-chainlink/krew.yaml > $(PLUGIN)/chainlink.yaml

reproducible: ## A release's programs, image and plugin made twice: the same to the byte, no path of this machine in them, under 30 MB.
	@.github/reproducible.py

# bench-fleet SIZES=10: a small one; PHASES=leader,hibernate: these alone; DATABASES=50: so many resources have a real one. It needs no cluster: an API server and an etcd of its own, and hollow machines.
SIZES ?= 10 100 1000
DATABASES ?= 0
FLEET := target/fleet
bench-fleet: ## What the operator costs with 10, 100 and 1,000 resources, with figures (docs/performance.md). About an hour.
	cargo build --quiet --release --locked --package chainlink-operator
	ulimit -S -n "$$(ulimit -H -n)" && cargo run --quiet --locked -p e2e --bin fleet -- --databases $(DATABASES) --out $(FLEET) $(addprefix --phases ,$(PHASES)) $(SIZES)

crds: ## Write the CRD, and the reference of its fields, again after a change of src/api.
	cargo run --quiet --locked -- crd | tee crds/chainlinknodes.yaml > $(CHART)/files/chainlinknodes.yaml
	cargo run --quiet --locked -- reference > docs/reference.md
