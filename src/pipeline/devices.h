// The registry of backends: the one place above backend/ that knows their names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "tempera/request.h"
#include "tempera/tempera.h"

namespace tempera {

// A device and what to compute in, with "auto" resolved.
struct DeviceChoice {
  std::string device;  // "cpu", "cuda"
  DType dtype = DType::f32;
};

// For generating: the best device this machine has, unless one is named. Throws Error(unavailable) saying what is
// missing, Error(invalid_argument) for a dtype that the device does not compute in.
DeviceChoice choose_device(const EngineOptions& options);
// For planning: needs no device. Without a CPU backend a card is all that "auto" can mean.
DeviceChoice choose_target(const EngineOptions& options);

// The backends in this build, as BuildInfo lists them, and the libraries that they alone use.
std::vector<std::string> built_backends();
std::vector<BuildInfo::Library> backend_libraries();

// Whether this machine has such a device and this build runs on it.
bool has_device(const std::string& device);

// The device of choose_device. most_pinned: bytes of host memory to lock for parameters that travel to a card, half of
// what is free unless given.
std::unique_ptr<Backend> open_device(const std::string& device, std::optional<size_t> most_pinned = {});

// Threads of an engine: those that the options name, else as many as the calling thread may use now. To be asked once
// for each engine: the memory that kernels plan depends on it.
int engine_threads(const EngineOptions& options);

// What to lower for; needs no device of that kind. The owner keeps it alive.
struct PlanTarget {
  std::shared_ptr<const void> owner;
  const Target* target = nullptr;
};
PlanTarget plan_target(const std::string& device);

}  // namespace tempera
