// The CUDA kernels as lowering sees them. No CUDA header is needed here, so that programs for a GPU are lowered, and
// their memory is known, on machines without one.
#pragma once

#include <string_view>

#include "program/kernel.h"

namespace tempera {

// Scratch memory that one library call may have: our policy, handed to cuBLASLt as its workspace and to cuDNN as the
// limit above which its plans are not considered.
inline constexpr size_t kCudaLibraryWorkspace = size_t{64} << 20;

// Slots that sampler_update holds in registers; samplers need at most six.
inline constexpr int kCudaSamplerSlots = 8;

// Channels whose factors and offsets scale takes with its arguments.
inline constexpr int kCudaScaleChannels = 64;

// Channels on the narrow side of a convolution that kernels for few inputs or outputs hold in registers.
inline constexpr int kCudaNarrow = 4;

// The row that only Hopper (compute capability 9.0) can run: the target of another card is this one without it.
inline constexpr std::string_view kCudaHopperRow = "geglu_linear/hopper";

// The target named "cuda", for Hopper. Its overhead does not count the driver's context, which depends on the card.
const Target& cuda_target();

}  // namespace tempera
