#!/usr/bin/env bash
# flake8 (.flake8) over all Python files, those without a suffix too.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  git ls-files '*.py'
  git grep -lE '^#!.*python' -- ':!*.*'
} | xargs flake8
