// A process that `tempera bench table` starts. It measures one row, or collects the data that all rows share. It prints
// lines to standard output, each a JSON object:
//   {"at": "2/3 denoise", "done": 3, "of": 25}            progress
//   {"pictures": 1}                                       the pixels of the first run are complete
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
  std::string rows;                // of the whole table, in the form of --rows
  int runs = 1;                    // of a row
  std::filesystem::path pictures;  // folder for the pictures of the last run
  std::filesystem::path embeddings;
};

// {"device", "model", "machine", "ceilings"}, for the rows of the table. This task also finds requests that are wrong.
inline constexpr const char* kMachineTask = "machine";
// The prompt's embeddings, computed with the options of the row that reads them, into the file `embeddings`.
inline constexpr const char* kEmbeddingsTask = "embeddings";

// The file of picture `index` of a row in the folder `pictures`: the values (H, W, 3) without a header.
std::filesystem::path picture_file(const TableTask& task, int index);

// Returns the exit status.
int run_table_task(const TableTask& task, const Inputs& inputs);

}  // namespace tempera::cli
