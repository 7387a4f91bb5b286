#include "adapters/formula_cases.h"

#include <random>
#include <utility>

#include "base/half.h"

namespace tempera {
namespace {

size_t count(const std::vector<int64_t>& dims) {
  size_t n = 1;
  for (const int64_t dim : dims) n *= static_cast<size_t>(dim);
  return n;
}

TestTensor stored(const std::vector<float>& values, std::vector<int64_t> dims, DType dtype) {
  auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * size_of(dtype));
  convert(values.data(), DType::f32, bytes->data(), dtype, values.size());
  std::vector<float> rounded(values.size());
  convert(bytes->data(), dtype, rounded.data(), DType::f32, values.size());
  TestTensor result;
  result.tensor.dtype = dtype;
  result.tensor.dims = std::move(dims);
  result.tensor.reader = std::make_shared<StoredElements>(dtype, *bytes, bytes);
  result.numbers.assign(rounded.begin(), rounded.end());
  return result;
}

TestTensor random_tensor(std::vector<int64_t> dims, DType dtype, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(count(dims));
  for (float& value : values) value = static_cast<float>(engine()) * 0x1p-31f - 1;
  return stored(values, std::move(dims), dtype);
}

FormulaCase additive(std::string name, const Parameter& p, std::vector<int64_t> dims, std::string kind, int64_t rank,
                     Values delta, DType below = DType::f16) {
  return make_case(
      std::move(name), p, std::move(dims), std::move(kind), rank,
      [delta = std::move(delta)](const Values& w, double weight) { return plus(w, delta, weight); }, below);
}

void add_low_rank(std::vector<FormulaCase>& cases) {
  for (const auto& [name, type] : {std::pair{"F16", DType::f16}, {"Bf16", DType::bf16}, {"F32", DType::f32}}) {
    Parameter p(kLinear);
    p.add("lora_up", {kOut, 7}, type);
    p.add("lora_down", {7, kIn}, type);
    p.add_number("alpha", 3, type);
    cases.push_back(additive(std::string("Lora") + name, p, kLinear, "LoRA", 7,
                             scaled(product(p["lora_up"], p["lora_down"], 7), 3.0 / 7), type));
  }
  {
    Parameter p({kOut, kIn, 1, 1});  // stored as matrices, with a rank above that of the parameter
    p.add("lora_up", {kOut, 200}, DType::f16);
    p.add("lora_down", {200, kIn}, DType::f16);
    cases.push_back(additive("LoraOfConvWithHighRank", p, {kOut, kIn, 1, 1}, "LoCon", 200,
                             product(p["lora_up"], p["lora_down"], 200)));
  }
  {
    Parameter p(kLinear);  // stored as convolutions, with the part scale
    p.add("lora_up", {kOut, 5, 1, 1}, DType::f16);
    p.add("lora_down", {5, kIn, 1, 1}, DType::f16);
    p.add_number("alpha", 3);
    p.add_number("scale", 0.5);
    cases.push_back(
        additive("LoraWithScale", p, kLinear, "LoRA", 5, scaled(product(p["lora_up"], p["lora_down"], 5), 0.5)));
  }
  {
    Parameter p(kConv);
    p.add("lora_up", {kConvOut, 4, 1, 1}, DType::f16);
    p.add("lora_down", {4, kConvIn, 3, 3}, DType::f16);
    p.add_number("alpha", 2);
    cases.push_back(additive("Locon", p, kConv, "LoCon", 4, scaled(product(p["lora_up"], p["lora_down"], 4), 0.5)));
  }
  Parameter p(kConv);
  p.add("lora_up", {kConvOut, 3, 1, 1}, DType::f16);
  p.add("lora_mid", {3, 4, 3, 3}, DType::bf16);
  p.add("lora_down", {4, kConvIn, 1, 1}, DType::f16);
  p.add_number("alpha", 2);
  cases.push_back(additive("LoconTucker", p, kConv, "LoCon", 3,
                           scaled(tucker(p["lora_up"], p["lora_mid"], p["lora_down"], 3, 4), 0.5)));
}

void add_hadamard(std::vector<FormulaCase>& cases) {
  {
    Parameter p(kConv);
    for (const char* side : {"hada_w1", "hada_w2"}) {
      p.add(std::string(side) + "_a", {kConvOut, 3}, DType::f16);
      p.add(std::string(side) + "_b", {3, kConvIn * kTaps}, DType::f16);
    }
    p.add_number("alpha", 1);
    cases.push_back(additive(
        "Loha", p, kConv, "LoHa", 3,
        scaled(hadamard(product(p["hada_w1_a"], p["hada_w1_b"], 3), product(p["hada_w2_a"], p["hada_w2_b"], 3)),
               1.0 / 3)));
  }
  Parameter p(kConv);
  for (const char* n : {"1", "2"}) {
    p.add(std::string("hada_t") + n, {3, 3, 3, 3}, DType::f16);
    p.add(std::string("hada_w") + n + "_a", {3, kConvOut}, DType::f16);
    p.add(std::string("hada_w") + n + "_b", {3, kConvIn}, DType::f32);
  }
  const auto side = [&](const std::string& n) {
    return tucker(transposed(p["hada_w" + n + "_a"], kConvOut), p["hada_t" + n], p["hada_w" + n + "_b"], 3, 3);
  };
  cases.push_back(additive("LohaTucker", p, kConv, "LoHa", 3, hadamard(side("1"), side("2"))));
}

void add_kronecker(std::vector<FormulaCase>& cases) {
  {
    Parameter p(kLinear);
    p.add("lokr_w1", {6, 5}, DType::f16);
    p.add("lokr_w2", {kOut / 6, kIn / 5}, DType::f16);
    p.add_number("alpha", 3);  // not read
    cases.push_back(additive("LokrWhole", p, kLinear, "LoKr", 0, kronecker(p["lokr_w1"], 5, p["lokr_w2"], kIn / 5, 1)));
    cases.back().reads_often = {"lokr_w2", "alpha"};
  }
  {
    Parameter p(kLinear);
    p.add("lokr_w1_a", {6, 2}, DType::f16);
    p.add("lokr_w1_b", {2, 5}, DType::f16);
    p.add("lokr_w2_a", {kOut / 6, 2}, DType::f16);
    p.add("lokr_w2_b", {2, kIn / 5}, DType::f16);
    p.add_number("alpha", 3);
    cases.push_back(additive("LokrProducts", p, kLinear, "LoKr", 2,
                             scaled(kronecker(product(p["lokr_w1_a"], p["lokr_w1_b"], 2), 5,
                                              product(p["lokr_w2_a"], p["lokr_w2_b"], 2), kIn / 5, 1),
                                    1.5)));
  }
  {
    Parameter p(kConv);
    p.add("lokr_w1", {4, 3}, DType::f16);
    p.add("lokr_w2_a", {kConvOut / 4, 2}, DType::f16);
    p.add("lokr_w2_b", {2, kConvIn / 3 * kTaps}, DType::f16);
    p.add_number("alpha", 1);
    cases.push_back(additive(
        "LokrConv", p, kConv, "LoKr", 2,
        scaled(kronecker(p["lokr_w1"], 3, product(p["lokr_w2_a"], p["lokr_w2_b"], 2), kConvIn / 3, kTaps), 0.5)));
  }
  Parameter p(kConv);
  p.add("lokr_w1", {4, 3}, DType::f16);
  p.add("lokr_t2", {2, 2, 3, 3}, DType::f16);
  p.add("lokr_w2_a", {2, kConvOut / 4}, DType::f16);
  p.add("lokr_w2_b", {2, kConvIn / 3}, DType::f16);
  cases.push_back(additive(
      "LokrTucker", p, kConv, "LoKr", 2,
      kronecker(p["lokr_w1"], 3, tucker(transposed(p["lokr_w2_a"], kConvOut / 4), p["lokr_t2"], p["lokr_w2_b"], 2, 2),
                kConvIn / 3, kTaps)));
}

void add_difference(std::vector<FormulaCase>& cases) {
  Parameter p(kLinear);
  p.add("diff", kLinear, DType::bf16);
  cases.push_back(additive("Full", p, kLinear, "full", 0, p["diff"]));
  Parameter norm({kOut});
  norm.add("diff", {kOut}, DType::f16);
  cases.push_back(additive("FullOfVector", norm, {kOut}, "full", 0, norm["diff"]));
}

}  // namespace

FormulaCase make_case(std::string name, const Parameter& parts, std::vector<int64_t> dims, std::string kind,
                      int64_t rank, std::function<Values(const Values&, double)> expected, DType below) {
  FormulaCase made{std::move(name),
                   parts.layer(),
                   random_tensor(dims, below, 99),
                   std::move(expected),
                   std::move(kind),
                   rank,
                   true,
                   {}};
  made.layer.parameter.dims = std::move(dims);
  return made;
}

Parameter::Parameter(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

void Parameter::add(const std::string& name, std::vector<int64_t> dims, DType dtype) {
  parts_[name] = random_tensor(std::move(dims), dtype, static_cast<unsigned>(parts_.size() + 1));
}

void Parameter::add_number(const std::string& name, float value, DType dtype) {
  parts_[name] = stored({value}, {}, dtype);
}

void Parameter::add_bool(const std::string& name, bool value) {
  auto bytes = std::make_shared<std::vector<std::byte>>(1, value ? std::byte{1} : std::byte{0});
  parts_[name].tensor.dtype = DType::boolean;
  parts_[name].tensor.reader = std::make_shared<StoredElements>(DType::boolean, *bytes, bytes);
}

AdapterLayer Parameter::layer() const {
  AdapterLayer layer;
  layer.parameter = {"unet", "parameter.weight", "", dims_};
  layer.origin = "'first' in 'file'";
  for (const auto& [name, part] : parts_) layer.parts[name] = part.tensor;
  return layer;
}

std::vector<FormulaCase> formula_cases() {
  std::vector<FormulaCase> cases;
  add_low_rank(cases);
  add_hadamard(cases);
  add_kronecker(cases);
  add_difference(cases);
  add_multiplying_cases(cases);
  return cases;
}

}  // namespace tempera
