#include "backend/cuda/rows.h"

namespace tempera::cuda {
namespace {

const float* floats(const Binding& b, size_t i) {
  return reinterpret_cast<const float*>(b.inputs[i]);
}
float* floats_out(const Binding& b) {
  return reinterpret_cast<float*>(b.output);
}

}  // namespace

Enqueue bind_timestep_embedding(Machine&, const Problem& p, const Binding& b) {
  return [b, op = std::get<TimestepEmbedding>(p.op), n = p.inputs[0].shape.elements()](cudaStream_t stream) {
    timestep_embedding(floats(b, 0), floats_out(b), n, op.dim, op.flip_sin_to_cos, op.freq_shift, stream);
  };
}

Enqueue bind_model_input(Machine&, const Problem& p, const Binding& b) {
  const int64_t n = p.output.shape.elements();
  return [b, out = output(p, b), n, batch = n / std::get<ModelInput>(p.op).copies](cudaStream_t stream) {
    model_input(floats(b, 0), floats(b, 1), out, n, batch, stream);
  };
}

Enqueue bind_guidance(Machine&, const Problem& p, const Binding& b) {
  const int64_t pictures = p.output.shape[0];
  return [b, x = input(p, b, 0), rescale = std::get<Guidance>(p.op).rescale, pictures,
          elements = p.output.shape.elements() / pictures](cudaStream_t stream) {
    guidance(x, floats(b, 1), floats_out(b), pictures, elements, rescale, reinterpret_cast<float*>(b.workspace),
             stream);
  };
}

Enqueue bind_sampler_update(Machine&, const Problem& p, const Binding& b) {
  const int slots = std::get<SamplerUpdate>(p.op).slots;
  return [b, prediction = input(p, b, 1), slots, slot = p.output.shape.elements() / slots](cudaStream_t stream) {
    sampler_update(floats(b, 0), prediction, floats(b, 2), floats(b, 3), floats_out(b), slots, slot, stream);
  };
}

Enqueue bind_to_rgb8(Machine&, const Problem& p, const Binding& b) {
  return [b, x = input(p, b, 0), n = p.output.shape.elements()](cudaStream_t stream) {
    to_rgb8(x, reinterpret_cast<uint8_t*>(b.output), n, stream);
  };
}

}  // namespace tempera::cuda
