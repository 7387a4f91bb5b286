// What a process that `tempera bench table` starts does: one row, or what the rows have in common. It says so line by
// line on standard output, each line a JSON object:
//   {"at": "2/3 denoise", "done": 3, "of": 25}            how far it is
//   {"pictures": 1}                                       the pixels of the first run are there
//   {"result": {...}}  or  {"error": {"code", "message"}}  the last line
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "fields.h"
#include "tempera/tempera.h"

namespace tempera::cli {

struct TableTask {
  std::string what;                // kMachineTask, kEmbeddingsTask, or the key of a row
  std::string rows;                // of the whole table, as --rows has them
  int runs = 1;                    // of a row
  std::filesystem::path pictures;  // folder to leave the last run's pictures in
  std::filesystem::path embeddings;
};

// {"device", "model", "machine", "ceilings"}, for the rows of the table; also where a request that cannot be answered
// is found out.
inline constexpr const char* kMachineTask = "machine";
// The prompt's embeddings, computed with the options of the row that reads them, into the file `embeddings`.
inline constexpr const char* kEmbeddingsTask = "embeddings";

// Picture `index` of a row in the folder `pictures`: values of (H, W, 3), nothing else.
std::filesystem::path picture_file(const TableTask& task, int index);

// The exit status.
int run_table_task(const TableTask& task, const Inputs& inputs);

}  // namespace tempera::cli
