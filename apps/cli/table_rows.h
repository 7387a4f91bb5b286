// The rows of `tempera bench table`: the engine options of each. They are defined only here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tempera/request.h"

namespace tempera::cli {

struct TableRow {
  std::string key, title;
  // The options that are not conditions of the table (FieldTrait::condition). dtype "half": the best half precision of
  // the device. tiny_vae: that of the table, if it has one.
  EngineOptions engine = {};
  int images = 0;           // 0: the number in the table's conditions
  bool embeddings = false;  // encoded by another process before
  bool slicing = false;     // diffusers' name for the way to decode that is always used here
};

// In the order of measurement. The other rows are compared with the first.
const std::vector<TableRow>& table_rows();

// The rows with these keys ("fp16,compiled", empty: all), in the table's order. After them, in the given order, rows of
// budgets ("within:4GiB", "within:80%"). Each once. Throws Error(invalid_argument).
std::vector<TableRow> find_rows(std::string_view keys);

// The half precision of "cpu" or "cuda", as a value of --dtype.
std::string half_precision(std::string_view device);

// The row's options on that device under the conditions of the table.
EngineOptions row_engine(const TableRow& row, const EngineOptions& conditions, std::string_view device);

// The command line options that differ from the defaults: "--dtype fp16 --offload none".
std::string row_options(const TableRow& row, std::string_view device);

}  // namespace tempera::cli
