#!/usr/bin/env bash
# flake8 (.flake8) over all Python files, also those without a suffix.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  git ls-files '*.py'
  git grep -lE '^#!.*python' -- ':!*.*'
} | xargs flake8
