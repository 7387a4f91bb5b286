// timestep_embedding, model_input, guidance, threshold_sample, sampler_update, blend_mask and to_rgb8. Latents are
// small (0.5 MB at 1024 x 1024). Precision is more important than speed, so sums are in f64 and plain loops suffice. A
// picture's coefficients are its row of step (StepLayout), which is read when the kernel runs.
#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/launch.h"
#include "backend/order_statistic.h"
#include "base/half.h"

namespace tempera {
namespace {

constexpr int64_t kGrain = 8192;  // elements

// Reads a tensor of f32 or bf16 element by element.
struct Values {
  DType type;
  const std::byte* data;
  float operator[](int64_t i) const {
    return type == DType::f32 ? reinterpret_cast<const float*>(data)[i]
                              : to_float(reinterpret_cast<const bf16*>(data)[i]);
  }
};

void put(DType type, std::byte* data, int64_t i, float value) {
  if (type == DType::f32) {
    reinterpret_cast<float*>(data)[i] = value;
  } else {
    reinterpret_cast<bf16*>(data)[i] = to_bf16(value);
  }
}

// Angles are in f32 as in diffusers. At timestep 999 their rounding is visible in the sines.
Launch bind_timestep_embedding(const Problem& problem, const Binding& at) {
  const auto op = std::get<TimestepEmbedding>(problem.op);
  const int64_t numbers = problem.inputs[0].shape.elements();
  const auto* x = reinterpret_cast<const float*>(at.inputs[0]);
  auto* y = reinterpret_cast<float*>(at.output);
  return [=](Queue&) {
    const int half = op.dim / 2;
    for (int64_t n = 0; n < numbers; ++n)
      for (int i = 0; i < half; ++i) {
        const float exponent = -std::log(10000.0f) * static_cast<float>(i) / (static_cast<float>(half) - op.freq_shift);
        const float angle = x[n] * std::exp(exponent);
        float* row = y + n * op.dim;
        row[op.flip_sin_to_cos ? half + i : i] = std::sin(angle);
        row[op.flip_sin_to_cos ? i : half + i] = std::cos(angle);
      }
  };
}

int64_t row_elements(const TensorDesc& desc) {
  return desc.shape.elements() / desc.shape[0];
}

// Calls f(n, begin, end) for ranges of each of `pictures` pictures of n elements.
template <class F>
void ranges_of_pictures(int64_t pictures, int64_t elements, const F& f) {
  parallel_ranges(pictures * elements, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end;) {
      const int64_t n = at / elements, last = std::min(end, (n + 1) * elements);
      f(n, at - n * elements, last - n * elements);
      at = last;
    }
  });
}

// Guided pictures are written twice, for both branches.
Launch bind_model_input(const Problem& problem, const Binding& at) {
  const auto op = std::get<ModelInput>(problem.op);
  const int64_t pictures = problem.inputs[0].shape[0], elements = row_elements(problem.output);
  const int64_t length = problem.inputs[1].shape[1];
  const auto *states = reinterpret_cast<const float*>(at.inputs[0]),
             *steps = reinterpret_cast<const float*>(at.inputs[1]);
  std::byte* y = at.output;
  return [=](Queue&) {
    ranges_of_pictures(pictures, elements, [&](int64_t n, int64_t begin, int64_t end) {
      const float* state = states + n * op.slots * elements;
      const float scale = steps[n * length + StepLayout::kInputScale];
      if (n < op.guided)
        for (int64_t i = begin; i < end; ++i) put(op.to, y, n * elements + i, state[i] * scale);
      for (int64_t i = begin; i < end; ++i) put(op.to, y, (op.guided + n) * elements + i, state[i] * scale);
    });
  };
}

double deviation(int64_t n, const auto& value) {
  double mean = 0, m2 = 0;
  for (int64_t i = 0; i < n; ++i) mean += static_cast<double>(value(i));
  mean /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) m2 += (static_cast<double>(value(i)) - mean) * (static_cast<double>(value(i)) - mean);
  return std::sqrt(m2);  // without the factor that both deviations share
}

Launch bind_guidance(const Problem& problem, const Binding& at) {
  const auto op = std::get<Guidance>(problem.op);
  const int64_t pictures = problem.output.shape[0], n = row_elements(problem.output);
  const int64_t length = problem.inputs[1].shape[1];
  const Values prediction{problem.inputs[0].dtype, at.inputs[0]};
  const auto* steps = reinterpret_cast<const float*>(at.inputs[1]);
  auto* y = reinterpret_cast<float*>(at.output);
  return [=](Queue&) {
    parallel_ranges(pictures, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const auto text = [&](int64_t i) { return prediction[(op.guided + p) * n + i]; };
        float* out = y + p * n;
        if (p >= op.guided) {
          for (int64_t i = 0; i < n; ++i) out[i] = text(i);
          continue;
        }
        const float* step = steps + p * length;
        const float g = step[StepLayout::kGuidanceScale], phi = step[StepLayout::kGuidanceRescale];
        for (int64_t i = 0; i < n; ++i) {
          const float u = prediction[p * n + i];
          out[i] = u + g * (text(i) - u);
        }
        if (!op.rescale || phi == 0) continue;
        const double own = deviation(n, [&](int64_t i) { return out[i]; });
        const auto factor = static_cast<float>(deviation(n, text) / own);
        for (int64_t i = 0; i < n; ++i) out[i] = phi * (out[i] * factor) + (1 - phi) * out[i];
      }
    });
  };
}

// The range of a picture: its quantile, within limits.
float threshold_range(int64_t n, const float* step, const auto& picture) {
  const double ratio = std::clamp(static_cast<double>(step[StepLayout::kThresholdRatio]), 0.0, 1.0);
  const double at = ratio * static_cast<double>(n - 1);
  const auto below = static_cast<int64_t>(at);
  const auto magnitude = [&](int64_t i) { return std::abs(picture(i)); };
  const float low = order_statistic(n, below, magnitude);
  const float high = order_statistic(n, std::min(below + 1, n - 1), magnitude);
  const float quantile = low + static_cast<float>(at - static_cast<double>(below)) * (high - low);
  return std::min(std::max(quantile, 1.0f), step[StepLayout::kThresholdMax]);
}

Launch bind_threshold_sample(const Problem& problem, const Binding& at) {
  const int slots = std::get<ThresholdSample>(problem.op).slots;
  const int64_t pictures = problem.output.shape[0], n = row_elements(problem.output) / slots;
  const int64_t length = problem.inputs[2].shape[1];
  const auto *states = reinterpret_cast<const float*>(at.inputs[0]),
             *steps = reinterpret_cast<const float*>(at.inputs[2]);
  const Values predictions{problem.inputs[1].dtype, at.inputs[1]};
  auto* y = reinterpret_cast<float*>(at.output);
  return [=](Queue&) {
    parallel_ranges(pictures, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const float *step = steps + p * length, *state = states + p * slots * n;
        float* out = y + p * slots * n;
        if (out != state) std::copy(state, state + slots * n, out);
        const auto slot = static_cast<int64_t>(step[StepLayout::kThresholdSlot]);
        if (slot <= 0 || slot >= slots) continue;
        const double of_sample = static_cast<double>(step[StepLayout::kThresholdOfSample]);
        const double of_prediction = static_cast<double>(step[StepLayout::kThresholdOfPrediction]);
        const auto picture = [&](int64_t i) {
          return static_cast<float>(of_sample * static_cast<double>(out[i]) +
                                    of_prediction * static_cast<double>(predictions[p * n + i]));
        };
        const float range = threshold_range(n, step, picture);
        for (int64_t i = 0; i < n; ++i) out[slot * n + i] = std::min(std::max(picture(i), -range), range) / range;
      }
    });
  };
}

constexpr int kMaxSlots = 16;

// Sums begin with 0 and so are never -0. So the zeros of unused slots do not change them.
Launch bind_sampler_update(const Problem& problem, const Binding& at) {
  const int slots = std::get<SamplerUpdate>(problem.op).slots;
  const int64_t pictures = problem.output.shape[0], n = row_elements(problem.output) / slots;
  const int64_t length = problem.inputs[3].shape[1];
  const auto* states = reinterpret_cast<const float*>(at.inputs[0]);
  const Values predictions{problem.inputs[1].dtype, at.inputs[1]};
  const auto *noises = reinterpret_cast<const float*>(at.inputs[2]),
             *steps = reinterpret_cast<const float*>(at.inputs[3]);
  auto* y = reinterpret_cast<float*>(at.output);
  return [=](Queue&) {
    ranges_of_pictures(pictures, n, [&](int64_t picture, int64_t begin, int64_t end) {
      const float* m = steps + picture * length + StepLayout::kUpdate;
      const float* state = states + picture * slots * n;
      float* out = y + picture * slots * n;
      for (int64_t i = begin; i < end; ++i) {
        double in[kMaxSlots + 2];  // all are read before any is written: y may be state
        for (int j = 0; j < slots; ++j) in[j] = static_cast<double>(state[j * n + i]);
        in[slots] = static_cast<double>(predictions[picture * n + i]);
        in[slots + 1] = static_cast<double>(noises[picture * n + i]);
        for (int k = 0; k < slots; ++k) {
          double sum = 0;
          for (int j = 0; j < slots + 2; ++j) sum += static_cast<double>(m[k * (slots + 2) + j]) * in[j];
          out[k * n + i] = static_cast<float>(sum);
        }
      }
    });
  };
}

Launch bind_blend_mask(const Problem& problem, const Binding& at) {
  const int slots = std::get<BlendMask>(problem.op).slots;
  const int64_t pictures = problem.output.shape[0], n = row_elements(problem.output) / slots;
  const int64_t channels = problem.output.shape[3], length = problem.inputs[4].shape[1];
  const auto* states = reinterpret_cast<const float*>(at.inputs[0]);
  const auto *originals = reinterpret_cast<const float*>(at.inputs[1]),
             *noises = reinterpret_cast<const float*>(at.inputs[2]),
             *masks = reinterpret_cast<const float*>(at.inputs[3]),
             *steps = reinterpret_cast<const float*>(at.inputs[4]);
  auto* y = reinterpret_cast<float*>(at.output);
  return [=](Queue&) {
    ranges_of_pictures(pictures, n, [&](int64_t picture, int64_t begin, int64_t end) {
      const float* step = steps + picture * length;
      const float* state = states + picture * slots * n;
      float* out = y + picture * slots * n;
      const float threshold = step[StepLayout::kBlendThreshold];
      const auto signal = static_cast<double>(step[StepLayout::kBlendSignal]);
      const auto amount = static_cast<double>(step[StepLayout::kBlendNoise]);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t pixel = picture * n + i;
        for (int64_t k = 1; k < slots; ++k) out[k * n + i] = state[k * n + i];
        const bool kept = masks[pixel / channels] < threshold;
        out[i] = kept ? static_cast<float>(signal * static_cast<double>(originals[pixel]) +
                                           amount * static_cast<double>(noises[pixel]))
                      : state[i];
      }
    });
  };
}

Launch bind_to_rgb8(const Problem& problem, const Binding& at) {
  const int64_t n = problem.output.shape.elements();
  const Values x{problem.inputs[0].dtype, at.inputs[0]};
  auto* y = reinterpret_cast<uint8_t*>(at.output);
  return [=](Queue&) {
    parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float v = x[i] / 2 + 0.5f;
        const float clamped = v > 0 ? (v < 1 ? v : 1.0f) : 0.0f;  // NaN becomes 0
        y[i] = static_cast<uint8_t>(std::nearbyint(clamped * 255));
      }
    });
  };
}

std::optional<std::string> refuse_update(const Problem& problem) {
  if (std::get<SamplerUpdate>(problem.op).slots > kMaxSlots) return "takes up to 16 slots";
  return refuse_other_than_f32_bf16(problem);
}

std::optional<std::string> refuse_rgb8(const Problem& problem) {
  if (!is_f32_or_bf16(problem.inputs[0].dtype)) return "takes f32 and bf16 only";
  return std::nullopt;
}

}  // namespace

void add_sampling_kernels(std::vector<Kernel>& table) {
  const auto row = [&](std::string_view name, OpKind op, auto bind, auto refuse) -> KernelInfo& {
    KernelInfo info = kernel_info(name, op);
    info.tolerance_f32 = 1e-6;
    info.tolerance_half = 3e-3;
    info.refuse = refuse;
    table.push_back({info, bind, {}});
    return table.back().info;
  };
  row("timestep_embedding/loops", OpKind::timestep_embedding, bind_timestep_embedding, refuse_other_than_f32_bf16);
  row("model_input/loops", OpKind::model_input, bind_model_input, refuse_other_than_f32_bf16);
  row("guidance/loops", OpKind::guidance, bind_guidance, refuse_other_than_f32_bf16);
  row("threshold_sample/loops", OpKind::threshold_sample, bind_threshold_sample, refuse_other_than_f32_bf16).in_place =
      true;
  row("sampler_update/loops", OpKind::sampler_update, bind_sampler_update, refuse_update).in_place = true;
  row("blend_mask/loops", OpKind::blend_mask, bind_blend_mask, refuse_other_than_f32_bf16).in_place = true;
  row("to_rgb8/loops", OpKind::to_rgb8, bind_to_rgb8, refuse_rgb8).tolerance_f32 = 0;
}

}  // namespace tempera
