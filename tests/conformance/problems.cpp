// The construction of cases and their data. The list of cases is in cases_*.cpp.
#include "conformance/problems.h"

#include <cmath>
#include <cstring>
#include <numbers>

#include "base/error.h"
#include "base/half.h"
#include "conformance/cases.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

// FNV-1a: std::hash may differ between libraries, but the numbers must not.
uint64_t hash(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char ch : text) h = (h ^ static_cast<uint8_t>(ch)) * 0x100000001b3u;
  return h;
}

// splitmix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Approximately normal: the sum of four 16-bit uniform numbers. Values are within 3.5 deviations.
  float normal() {
    const uint64_t u = bits();
    const auto sum = static_cast<int64_t>((u & 0xffff) + (u >> 16 & 0xffff) + (u >> 32 & 0xffff) + (u >> 48));
    return static_cast<float>(sum - 2 * 0xffff) * (std::numbers::sqrt3_v<float> / 0x10000);
  }

 private:
  uint64_t state_;
};

std::vector<float> normal_numbers(size_t n, const Fill& fill, uint64_t seed) {
  Random random(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(fill.mean) + static_cast<float>(fill.deviation) * random.normal();
  return out;
}

std::vector<std::byte> to_bytes(const std::vector<float>& values, DType dtype) {
  std::vector<std::byte> out(values.size() * size_of(dtype));
  convert(values.data(), DType::f32, out.data(), dtype, values.size());
  return out;
}

std::string describe(const Case& c, size_t i) {
  const Fill& f = c.fills[i];
  return fmt::format("{} mean {} deviation {}", to_string(c.input(i)), f.mean, f.deviation);
}

// The case as a graph, for flops().
Graph graph_of(const Problem& p) {
  Graph graph("case");
  std::vector<ValueId> inputs;
  for (const TensorDesc& desc : p.inputs) inputs.push_back(graph.add_source(Input{}, desc));
  graph.add(p.op, inputs);
  return graph;
}

}  // namespace

Case make_case(const Op& op, const std::vector<CaseInput>& inputs, CaseSize size, std::string_view note) {
  Case c;
  c.problem.op = op;
  c.size = size;
  std::string list;
  for (const CaseInput& input : inputs) {
    c.problem.inputs.push_back(input.desc);
    c.fills.push_back(input.fill);
    list += (list.empty() ? "" : ", ") + to_string(input.desc);
    c.bytes += static_cast<double>(input.desc.bytes());
  }
  c.problem.output = infer(op, c.problem.inputs);
  c.bytes += static_cast<double>(c.problem.output.bytes());
  c.flops = flops(graph_of(c.problem));
  c.name =
      fmt::format("{} {} -> {}{}{}", to_string(op), list, to_string(c.problem.output), note.empty() ? "" : " ", note);
  return c;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_matmul_cases(cases);
  add_norm_cases(cases);
  add_attention_cases(cases);
  add_elementwise_cases(cases);
  return cases;
}

std::vector<std::byte> input_bytes(const Case& c, size_t i) {
  const TensorDesc desc = c.input(i);
  const Fill& fill = c.fills[i];
  const auto n = static_cast<size_t>(desc.shape.elements());
  const uint64_t seed = hash(fmt::format("{} {}", i, describe(c, i)));
  switch (fill.kind) {
    case Fill::Kind::ids: {
      Random random(seed);
      std::vector<std::byte> out(desc.bytes());
      for (size_t k = 0; k < n; ++k) {
        const auto id = static_cast<int32_t>(random.bits() % static_cast<uint64_t>(fill.limit));
        std::memcpy(out.data() + k * sizeof id, &id, sizeof id);
      }
      return out;
    }
    case Fill::Kind::step: {
      std::vector<float> step = normal_numbers(n, fill, seed);
      for (int64_t row = 0; row < desc.shape[0]; ++row) {
        float* const at = &step[static_cast<size_t>(row * desc.shape[1])];
        at[StepLayout::kInputScale] = 0.3f * static_cast<float>(row + 1);
        at[StepLayout::kGuidanceScale] = 7.5f - static_cast<float>(row);
        at[StepLayout::kGuidanceRescale] = row % 2 == 0 ? 0.7f : 0.0f;
        at[StepLayout::kThresholdSlot] = row % 3 == 1 ? 0.0f : 1.0f;
        at[StepLayout::kThresholdOfSample] = 1.5f;
        at[StepLayout::kThresholdOfPrediction] = -0.5f - static_cast<float>(row);
        at[StepLayout::kThresholdRatio] = row % 2 == 0 ? 0.6f : 0.9f;
        at[StepLayout::kThresholdMax] = row % 2 == 0 ? 1e6f : 2;
        at[StepLayout::kBlendThreshold] = row % 4 == 1 ? 0.0f : 0.5f;
      }
      return to_bytes(step, desc.dtype);
    }
    case Fill::Kind::uniform: {
      Random random(seed);
      std::vector<float> values(n);
      for (float& v : values) v = static_cast<float>(random.bits() % 9) / 8;
      return to_bytes(values, desc.dtype);
    }
    default:
      return to_bytes(normal_numbers(n, fill, seed), desc.dtype);
  }
}

std::vector<WeightPart> SourceWeight::view() const {
  std::vector<WeightPart> out;
  for (const Part& part : parts) out.push_back(stored_part(part.dtype, part.bytes));
  return out;
}

SourceWeight source_weight(const Case& c, size_t i) {
  constexpr DType kSources[] = {DType::f32, DType::f16, DType::bf16};
  const TensorDesc desc = c.input(i);
  const uint64_t seed = hash(describe(c, i));
  const std::vector<float> values = normal_numbers(static_cast<size_t>(desc.shape.elements()), c.fills[i], seed);
  const int64_t rows = desc.shape[0];
  const auto row = static_cast<int64_t>(values.size()) / rows;
  const int64_t count = std::min<int64_t>(rows, 1 + static_cast<int64_t>(seed % 3));
  SourceWeight source{describe(c, i), {}};
  for (int64_t k = 0; k < count; ++k) {
    const DType dtype = kSources[(seed / 3 + static_cast<uint64_t>(k)) % 3];
    const std::vector<float> part(values.begin() + rows * k / count * row,
                                  values.begin() + rows * (k + 1) / count * row);
    source.parts.push_back({dtype, to_bytes(part, dtype)});
  }
  return source;
}

}  // namespace tempera
