// The table of rows, measured: one process after the other, and one document that grows.
#pragma once

#include <optional>
#include <string>

#include "fields.h"
#include "table_child.h"
#include "tempera/tempera.h"

namespace tempera::cli {

struct TableOptions {
  Inputs inputs;  // every field that is a condition is filled in, but for model and preset: with neither, tempera's own
  std::string rows, output;                  // as the options of these names
  std::string commit = build_info().commit;  // also
  std::optional<int> runs;                   // at least 1
  bool quick = false, json = false, markdown = false;
  TableTask task;  // the task of a process that was started for a table
};

// Measures, prints and writes. The exit status: 1 where a row failed. Throws Error where no row can be measured.
int run_table(const TableOptions& options);

}  // namespace tempera::cli
