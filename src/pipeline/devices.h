// The registry of backends: the only file above backend/ with their names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "tempera/request.h"
#include "tempera/tempera.h"

namespace tempera {

// A device and its compute type, with "auto" resolved.
struct DeviceChoice {
  std::string device;  // "cpu", "cuda"
  DType dtype = DType::f32;
};

// For generating: the named device, or the best one of this machine. Throws Error(unavailable) with the missing thing,
// Error(invalid_argument) for a dtype in which the device cannot compute.
DeviceChoice choose_device(const EngineOptions& options);
// For planning: needs no device. Without a CPU backend, "auto" can only mean a card.
DeviceChoice choose_target(const EngineOptions& options);

// The backends in this build, in the form of BuildInfo, and the libraries that only they use.
std::vector<std::string> built_backends();
std::vector<BuildInfo::Library> backend_libraries();

// Whether this machine has such a device and this build can run on it.
bool has_device(const std::string& device);

// The device of choose_device. most_pinned: bytes of host memory to lock for parameters that are streamed to a card; by
// default half of the free memory.
std::unique_ptr<Backend> open_device(const std::string& device, std::optional<size_t> most_pinned = {});

// Threads of an engine: the number in the options, else the number that the calling thread may use now. Call it once
// for each engine, because the planned memory of kernels depends on it.
int engine_threads(const EngineOptions& options);

// The target for lowering. Needs no device of that kind. The owner keeps it alive.
struct PlanTarget {
  std::shared_ptr<const void> owner;
  const Target* target = nullptr;
};
PlanTarget plan_target(const std::string& device);

}  // namespace tempera
