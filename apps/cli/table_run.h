// Measures the table of rows: one process after the other, with all results in one document.
#pragma once

#include <optional>
#include <string>

#include "fields.h"
#include "table_child.h"
#include "tempera/tempera.h"

namespace tempera::cli {

struct TableOptions {
  Inputs inputs;             // all conditions are set except model and preset; without both, tempera's own
  std::string rows, output;  // values of the options of these names
  std::string commit = build_info().commit;  // likewise
  std::optional<int> runs;                   // at least 1
  bool quick = false, json = false, markdown = false;
  TableTask task;  // the task of a process that was started for a table
};

// Measures, prints and writes. Returns the exit status: 1 if a row failed. Throws Error if no row can be measured.
int run_table(const TableOptions& options);

}  // namespace tempera::cli
