// The hash of a model file, computed by a process that goes on after this one has ended. No picture waits for it.
#pragma once

#include <string>

namespace tempera::cli {

// Starts the process if `model` is a file whose hash is not known. An error is not reported: the hash stays unknown.
void start_background_hash(const std::string& model);

// What that process does: computes and stores the hash at the lowest priority, unless another process does so.
int run_background_hash(const std::string& model);

}  // namespace tempera::cli
