// The backends of this build that this machine can run, for tests that must pass on all of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace tempera::test {

std::vector<std::string> backend_names();
// most_pinned: of a card, the bytes of host memory that may be locked for streamed parameters.
std::unique_ptr<Backend> make_backend(const std::string& name, std::optional<size_t> most_pinned = {});
// Makes cards compute f32 convolutions in f32. Called before a backend is made.
void forbid_tf32();

// The dtypes in which the backend computes; f32 is always one of them.
std::vector<DType> compute_dtypes(const std::string& name);

}  // namespace tempera::test
