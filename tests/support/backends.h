// The backends of this build that this machine can run, for tests that must hold on all of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace tempera::test {

std::vector<std::string> backend_names();
// most_pinned: of a card, bytes of host memory to lock for parameters that travel.
std::unique_ptr<Backend> make_backend(const std::string& name, std::optional<size_t> most_pinned = {});
// Makes cards compute f32 convolutions in f32: before a backend is made.
void forbid_tf32();

// What it computes in; f32 always.
std::vector<DType> compute_dtypes(const std::string& name);

}  // namespace tempera::test
