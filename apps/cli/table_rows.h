// The rows of `tempera bench table`: what each one asks of the engine. The one place that says so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tempera/request.h"

namespace tempera::cli {

struct TableRow {
  std::string key, title;
  // What is no condition of the table (FieldTrait::condition). dtype "half": the best half precision of the device.
  // tiny_vae: that of the table, where it has one.
  EngineOptions engine = {};
  int images = 0;           // 0: as many as the table's conditions say
  bool embeddings = false;  // encoded before, by another process
  bool slicing = false;     // diffusers' name for what always holds here
};

// In the order in which they are measured; the first is what the others are compared with.
const std::vector<TableRow>& table_rows();

// The rows called so ("fp16,compiled", empty: all), in the table's order; behind them, in the order given, rows of
// budgets ("within:4GiB", "within:80%"). Each once. Throws Error(invalid_argument).
std::vector<TableRow> find_rows(std::string_view keys);

// The half precision of "cpu" or "cuda", as --dtype has it.
std::string half_precision(std::string_view device);

// The row's options on that device under the conditions of the table.
EngineOptions row_engine(const TableRow& row, const EngineOptions& conditions, std::string_view device);

// The command line options that are not as they are without any: "--dtype fp16 --offload none".
std::string row_options(const TableRow& row, std::string_view device);

}  // namespace tempera::cli
