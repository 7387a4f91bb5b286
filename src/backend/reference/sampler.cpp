// The ops of the denoising loop around the model. A picture's coefficients are its row of step (StepLayout).
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/parallel.h"

namespace tempera::reference {

namespace {

// The picture of row r of the model's batch.
int64_t picture_of(int64_t r, int64_t guided) {
  return r < guided ? r : r - guided;
}

int64_t row_elements(const Shape& shape) {
  return shape.elements() / shape[0];
}

}  // namespace

void branch_rows(const Problem& p, const Binding& b) {
  const int64_t guided = std::get<BranchRows>(p.op).guided;
  const auto row = static_cast<size_t>(row_elements(p.output.shape)) * size_of(p.output.dtype);
  for (int64_t r = 0; r < p.output.shape[0]; ++r)
    std::memcpy(b.output + static_cast<size_t>(r) * row, b.inputs[0] + static_cast<size_t>(picture_of(r, guided)) * row,
                row);
}

void model_input(const Problem& p, const Binding& b) {
  const int64_t guided = std::get<ModelInput>(p.op).guided;
  const int64_t picture = row_elements(p.output.shape), all_slots = row_elements(p.inputs[0].shape);
  const int64_t length = p.inputs[1].shape[1];
  const Numbers state = numbers(p, b, 0), step = numbers(p, b, 1);
  const Result out = result(p, b);
  parallel_for(p.output.shape.elements(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = picture_of(i / picture, guided);
      out.set(i, state[n * all_slots + i % picture] * step[n * length + StepLayout::kInputScale]);
    }
  });
}

namespace {

// As torch.std: over all elements of a picture, divided by their number minus one.
template <class Value>
double deviation(int64_t count, const Value& value) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) sum += value(i);
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (value(i) - mean) * (value(i) - mean);
  return std::sqrt(squares / static_cast<double>(count - 1));
}

}  // namespace

void guidance(const Problem& p, const Binding& b) {
  const auto op = std::get<Guidance>(p.op);
  const int64_t picture = row_elements(p.output.shape), length = p.inputs[1].shape[1];
  const Numbers x = numbers(p, b, 0), step = numbers(p, b, 1);
  const Result out = result(p, b);
  parallel_for(p.output.shape[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const auto conditional = [&](int64_t i) { return x[(op.guided + n) * picture + i]; };
      if (n >= op.guided) {
        for (int64_t i = 0; i < picture; ++i) out.set(n * picture + i, conditional(i));
        continue;
      }
      const double g = step[n * length + StepLayout::kGuidanceScale];
      const double amount = step[n * length + StepLayout::kGuidanceRescale];
      const auto guided = [&](int64_t i) {
        const double unconditional = x[n * picture + i];
        return unconditional + g * (conditional(i) - unconditional);
      };
      // Lin et al. 2023, equations 15 and 16: amount * guided * std(c) / std(guided) + (1 - amount) * guided.
      const double factor = op.rescale && amount != 0
                                ? amount * deviation(picture, conditional) / deviation(picture, guided) + (1 - amount)
                                : 1;
      for (int64_t i = 0; i < picture; ++i) out.set(n * picture + i, factor * guided(i));
    }
  });
}

namespace {

// As torch.quantile: linear between the neighbours in the sorted values.
double quantile(std::vector<double> values, double ratio) {
  std::sort(values.begin(), values.end());
  const double at = std::clamp(ratio, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const double next = values[std::min(below + 1, values.size() - 1)];
  return values[below] + (at - static_cast<double>(below)) * (next - values[below]);
}

}  // namespace

void threshold_sample(const Problem& p, const Binding& b) {
  const auto slots = static_cast<int64_t>(std::get<ThresholdSample>(p.op).slots);
  const int64_t all = row_elements(p.output.shape), slot = all / slots, length = p.inputs[2].shape[1];
  const Numbers state = numbers(p, b, 0), prediction = numbers(p, b, 1), steps = numbers(p, b, 2);
  const Result out = result(p, b);
  parallel_for(p.output.shape[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const auto step = [&](int at) { return steps[n * length + at]; };
      const auto target = static_cast<int64_t>(step(StepLayout::kThresholdSlot));
      for (int64_t i = 0; i < all; ++i) out.set(n * all + i, state[n * all + i]);
      if (target <= 0 || target >= slots) continue;
      std::vector<double> picture(static_cast<size_t>(slot)), magnitudes(picture.size());
      for (int64_t i = 0; i < slot; ++i) {
        const double x = step(StepLayout::kThresholdOfSample) * state[n * all + i] +
                         step(StepLayout::kThresholdOfPrediction) * prediction[n * slot + i];
        picture[static_cast<size_t>(i)] = x;
        magnitudes[static_cast<size_t>(i)] = std::abs(x);
      }
      const double range = std::min(std::max(quantile(magnitudes, step(StepLayout::kThresholdRatio)), 1.0),
                                    step(StepLayout::kThresholdMax));
      for (int64_t i = 0; i < slot; ++i)
        out.set(n * all + target * slot + i,
                std::min(std::max(picture[static_cast<size_t>(i)], -range), range) / range);
    }
  });
}

// Every slot of an element is read before any is written, so it may run in place. Sums begin with 0 and so are never
// -0. So the zeros of unused slots do not change them.
void sampler_update(const Problem& p, const Binding& b) {
  const auto slots = static_cast<int64_t>(std::get<SamplerUpdate>(p.op).slots);
  const int64_t pictures = p.output.shape[0], slot = row_elements(p.output.shape) / slots;
  const int64_t length = p.inputs[3].shape[1];
  const Numbers state = numbers(p, b, 0), prediction = numbers(p, b, 1), noise = numbers(p, b, 2);
  const Numbers step = numbers(p, b, 3);
  const Result out = result(p, b);
  parallel_for(pictures * slot, 1024, [&](int64_t begin, int64_t end) {
    std::array<double, kMaxSlots> next{};
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / slot, first = n * slots * slot + i % slot;
      for (int64_t k = 0; k < slots; ++k) {
        const int64_t row = n * length + StepLayout::kUpdate + k * (slots + 2);
        double sum = 0;
        sum += step[row + slots] * prediction[i];
        sum += step[row + slots + 1] * noise[i];
        for (int64_t j = 0; j < slots; ++j) sum += step[row + j] * state[first + j * slot];
        next[static_cast<size_t>(k)] = sum;
      }
      for (int64_t k = 0; k < slots; ++k) out.set(first + k * slot, next[static_cast<size_t>(k)]);
    }
  });
}

void blend_mask(const Problem& p, const Binding& b) {
  const auto slots = static_cast<int64_t>(std::get<BlendMask>(p.op).slots);
  const int64_t all = row_elements(p.output.shape), slot = all / slots, length = p.inputs[4].shape[1];
  const int64_t channels = p.output.shape[3];
  const Numbers state = numbers(p, b, 0), original = numbers(p, b, 1), noise = numbers(p, b, 2);
  const Numbers mask = numbers(p, b, 3), steps = numbers(p, b, 4);
  const Result out = result(p, b);
  parallel_for(p.output.shape.elements(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / all, in_slot = i % all, at = n * slot + in_slot;
      const int64_t row = n * length;
      const bool kept = in_slot < slot && mask[at / channels] < steps[row + StepLayout::kBlendThreshold];
      out.set(i, kept ? steps[row + StepLayout::kBlendSignal] * original[at] +
                            steps[row + StepLayout::kBlendNoise] * noise[at]
                      : state[i]);
    }
  });
}

}  // namespace tempera::reference
