# make demo   opens the window on the built-in sample scan with one question asked (under a virtual screen where there is none)
# make reference   the published packages that the slow tests compare adapters with (320 MB)
# make test   the default test suite in two processes (WORKERS=8 in eight);  make test-slow  the slow tests
# make lint   format, lint and types;  make bench  the benchmarks

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
QUESTION ?= stone in the left kidney
WORKERS ?= 2

# what Qt's xcb platform and a virtual screen need on Debian 12
SYSTEM := xvfb xauth libegl1 libgl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 \
          libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libdbus-1-3 libfontconfig1 \
          libglib2.0-0 fonts-dejavu-core

XVFB := xvfb-run -a -s "-screen 0 1600x1000x24"

# the published packages that adapters are compared with; without what they ask for and do not use (torchvision, peft)
REFERENCE := colipri==0.1.3 merlin-vlm==0.0.7 dynamic-network-architectures==0.4.4 timm==1.0.22 einops==0.8.2 \
             hydra-core==1.3.8 omegaconf==2.3.1 antlr4-python3-runtime==4.9.3 jaxtyping==0.3.11 wadler-lindig==0.1.8 \
             torchio==1.2.1 humanize==4.17.0 deprecated==1.3.1 simpleitk==2.5.7 accelerate==1.15.0 monai==1.6.1 nltk==3.10.4

.PHONY: demo test test-slow reference lint bench system clean

demo: $(VENV)/.gui system
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	  $(BIN)/napari-ctvlp --sample --ask "$(QUESTION)"; \
	else \
	  mkdir -p $(DEMO) && \
	  $(XVFB) $(BIN)/napari-ctvlp --sample --ask "$(QUESTION)" --screenshot $(DEMO)/window.png && \
	  $(BIN)/napari-ctvlp score --sample --ask "$(QUESTION)" --csv $(DEMO)/scores.csv --json $(DEMO)/answers.json && \
	  echo "No screen: the window is in $(DEMO)/window.png, the scores in $(DEMO)/scores.csv, the answers in $(DEMO)/answers.json"; \
	fi

# files stay whole (loadfile), since their fixtures are made once a file; each worker has a screen of its own
test: $(VENV)/.test system
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

test-slow: $(VENV)/.test $(VENV)/.reference system
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test system
	$(BIN)/python -m tests.benchmarks.bench_open
	$(BIN)/python -m tests.benchmarks.bench_encode
	$(BIN)/python -m tests.benchmarks.bench_cache
	$(BIN)/python -m tests.benchmarks.bench_world
	$(BIN)/python -m tests.benchmarks.bench_pooling
	$(BIN)/python -m tests.benchmarks.bench_backbones
	$(BIN)/python -m tests.benchmarks.bench_contrast
	$(BIN)/python -m tests.benchmarks.bench_store
	$(BIN)/python -m tests.benchmarks.bench_loader
	$(BIN)/python -m tests.benchmarks.bench_step
	$(BIN)/python -m tests.benchmarks.bench_text
	$(BIN)/python -m tests.benchmarks.bench_locate
	$(BIN)/python -m tests.benchmarks.bench_adapters
	$(XVFB) $(BIN)/python -m tests.benchmarks.bench_query
	$(XVFB) $(BIN)/python -m tests.benchmarks.bench_views
	$(XVFB) $(BIN)/python -m tests.benchmarks.bench_first_answer

reference: $(VENV)/.reference

$(VENV)/.reference: Makefile | $(VENV)/.test
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(VENV)/reference $(REFERENCE)
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.gui $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

system:
	@command -v dpkg-query >/dev/null || exit 0; \
	missing=""; \
	for p in $(SYSTEM); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing system libraries:$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
	  echo "If the window does not open, install these system libraries: apt-get install$$missing"; \
	fi

clean:
	rm -rf $(VENV) $(DEMO)
