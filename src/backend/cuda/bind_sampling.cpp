// Rows of the ops around the model (kernels/sampling.cu). Values that vary per step, such as coefficients, are read
// from inputs on the card, so that a recorded step is replayed with new numbers. Launches contain only shapes and
// addresses.
#include "backend/cuda/rows.h"

namespace tempera::cuda {
namespace {

const float* floats(const Binding& b, size_t i) {
  return reinterpret_cast<const float*>(b.inputs[i]);
}
float* floats_out(const Binding& b) {
  return reinterpret_cast<float*>(b.output);
}

StepRows step_rows(const Problem& p, const Binding& b, size_t i) {
  return {floats(b, i), p.inputs[i].shape[1]};
}
int64_t row_elements(const TensorDesc& desc) {
  return desc.shape.elements() / desc.shape[0];
}

}  // namespace

Enqueue bind_timestep_embedding(Machine&, const Problem& p, const Binding& b) {
  return [b, op = std::get<TimestepEmbedding>(p.op), n = p.inputs[0].shape.elements()](cudaStream_t stream) {
    timestep_embedding(floats(b, 0), floats_out(b), n, op.dim, op.flip_sin_to_cos, op.freq_shift, stream);
  };
}

Enqueue bind_model_input(Machine&, const Problem& p, const Binding& b) {
  return [b, step = step_rows(p, b, 1), out = output(p, b), op = std::get<ModelInput>(p.op),
          pictures = p.inputs[0].shape[0], elements = row_elements(p.output)](cudaStream_t stream) {
    model_input(floats(b, 0), step, out, pictures, op.guided, op.slots, elements, stream);
  };
}

Enqueue bind_guidance(Machine&, const Problem& p, const Binding& b) {
  const auto& op = std::get<Guidance>(p.op);
  const GuidanceArgs args{input(p, b, 0),
                          step_rows(p, b, 1),
                          floats_out(b),
                          p.output.shape[0],
                          op.guided,
                          row_elements(p.output),
                          op.rescale ? reinterpret_cast<float*>(b.workspace) : nullptr};
  return [args](cudaStream_t stream) { guidance(args, stream); };
}

Enqueue bind_threshold_sample(Machine&, const Problem& p, const Binding& b) {
  const int slots = std::get<ThresholdSample>(p.op).slots;
  const ThresholdArgs args{floats(b, 0),
                           input(p, b, 1),
                           step_rows(p, b, 2),
                           floats_out(b),
                           p.output.shape[0],
                           slots,
                           row_elements(p.output) / slots,
                           reinterpret_cast<float*>(b.workspace)};
  return [args](cudaStream_t stream) { threshold_sample(args, stream); };
}

Enqueue bind_sampler_update(Machine&, const Problem& p, const Binding& b) {
  const int slots = std::get<SamplerUpdate>(p.op).slots;
  return [b, prediction = input(p, b, 1), step = step_rows(p, b, 3), slots, pictures = p.output.shape[0],
          elements = row_elements(p.output) / slots](cudaStream_t stream) {
    sampler_update(floats(b, 0), prediction, floats(b, 2), step, floats_out(b), pictures, slots, elements, stream);
  };
}

Enqueue bind_blend_mask(Machine&, const Problem& p, const Binding& b) {
  const int slots = std::get<BlendMask>(p.op).slots;
  const BlendArgs args{floats(b, 0),
                       floats(b, 1),
                       floats(b, 2),
                       floats(b, 3),
                       step_rows(p, b, 4),
                       floats_out(b),
                       p.output.shape[0],
                       slots,
                       row_elements(p.output) / slots,
                       p.output.shape[3]};
  return [args](cudaStream_t stream) { blend_mask(args, stream); };
}

Enqueue bind_to_rgb8(Machine&, const Problem& p, const Binding& b) {
  return [b, x = input(p, b, 0), n = p.output.shape.elements()](cudaStream_t stream) {
    to_rgb8(x, reinterpret_cast<uint8_t*>(b.output), n, stream);
  };
}

}  // namespace tempera::cuda
