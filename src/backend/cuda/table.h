// The descriptions of the CUDA kernels for lowering. No CUDA header is needed here, so programs for a GPU can be
// lowered, and their memory is known, on machines without one.
#pragma once

#include <string_view>

#include "program/kernel.h"

namespace tempera {

// The limit of scratch memory for one library call. It is cuBLASLt's workspace, and cuDNN's plans above it are not
// considered.
inline constexpr size_t kCudaLibraryWorkspace = size_t{64} << 20;

// Slots that sampler_update holds in registers; samplers need at most six.
inline constexpr int kCudaSamplerSlots = 8;

// The largest number of channels for scale, whose factors and offsets are kernel arguments.
inline constexpr int kCudaScaleChannels = 64;

// Output channels that kernels for few outputs hold in registers.
inline constexpr int kCudaNarrow = 4;
// Input channels of kernels for few inputs: those of UNets for inpainting.
inline constexpr int kCudaFewInputs = 9;

// The row that only Hopper (compute capability 9.0) can run. The targets of other cards do not have it.
inline constexpr std::string_view kCudaHopperRow = "geglu_linear/hopper";

// The target named "cuda", for Hopper. Its overhead is without the driver's context, which depends on the card.
const Target& cuda_target();

}  // namespace tempera
