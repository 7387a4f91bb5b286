// The ops of the denoising loop around the model; their coefficients come in the step vector (StepLayout).
#include <array>

#include "backend/reference/kernels.h"
#include "backend/reference/numbers.h"
#include "base/parallel.h"

namespace tempera::reference {

void model_input(const Problem& p, const Binding& b) {
  const int64_t batch = p.output.shape.elements() / std::get<ModelInput>(p.op).copies;
  const Numbers state = numbers(p, b, 0);
  const double factor = numbers(p, b, 1)[StepLayout::kInputScale];
  const Result out = result(p, b);
  parallel_for(p.output.shape.elements(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out.set(i, state[i % batch] * factor);
  });
}

namespace {

// As torch.std: over all elements of a picture, divided by one less than their number.
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
  const int64_t batch = p.output.shape[0], picture = p.output.shape.elements() / batch;
  const Numbers x = numbers(p, b, 0), step = numbers(p, b, 1);
  const double g = step[StepLayout::kGuidanceScale], amount = step[StepLayout::kGuidanceRescale];
  const bool rescale = std::get<Guidance>(p.op).rescale;
  const Result out = result(p, b);
  parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const auto conditional = [&](int64_t i) { return x[(batch + n) * picture + i]; };
      const auto guided = [&](int64_t i) {
        const double unconditional = x[n * picture + i];
        return unconditional + g * (conditional(i) - unconditional);
      };
      // Lin et al. 2023, equations 15 and 16: amount * guided * std(c) / std(guided) + (1 - amount) * guided.
      const double factor =
          rescale ? amount * deviation(picture, conditional) / deviation(picture, guided) + (1 - amount) : 1;
      for (int64_t i = 0; i < picture; ++i) out.set(n * picture + i, factor * guided(i));
    }
  });
}

// Every slot of an element is read before any is written, so it may run in place.
void sampler_update(const Problem& p, const Binding& b) {
  const auto slots = static_cast<int64_t>(std::get<SamplerUpdate>(p.op).slots);
  const int64_t slot = p.output.shape.elements() / slots;
  const Numbers state = numbers(p, b, 0), prediction = numbers(p, b, 1), noise = numbers(p, b, 2);
  const Numbers step = numbers(p, b, 3);
  const Result out = result(p, b);
  parallel_for(slot, 1024, [&](int64_t begin, int64_t end) {
    std::array<double, kMaxSlots> next{};
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < slots; ++k) {
        const int64_t row = StepLayout::kUpdate + k * (slots + 2);
        double sum = step[row + slots] * prediction[i] + step[row + slots + 1] * noise[i];
        for (int64_t j = 0; j < slots; ++j) sum += step[row + j] * state[j * slot + i];
        next[static_cast<size_t>(k)] = sum;
      }
      for (int64_t k = 0; k < slots; ++k) out.set(k * slot + i, next[static_cast<size_t>(k)]);
    }
  });
}

}  // namespace tempera::reference
