// One case for each form of each formula, for tests: the tensors, and the formula in double precision.
#pragma once

#include <functional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "adapters/layer.h"
#include "adapters/naive.h"

namespace tempera {

// A tensor and its values, as stored.
struct TestTensor {
  CheckpointTensor tensor;
  Values numbers;
};

// A parameter with parts of random values between -1 and 1.
class Parameter {
 public:
  explicit Parameter(std::vector<int64_t> dims);

  void add(const std::string& name, std::vector<int64_t> dims, DType dtype);
  void add_number(const std::string& name, float value, DType dtype = DType::f32);

  void add_bool(const std::string& name, bool value);

  AdapterLayer layer() const;
  const Values& operator[](const std::string& name) const { return parts_.at(name).numbers; }

 private:
  std::vector<int64_t> dims_;
  std::map<std::string, TestTensor> parts_;
};

struct FormulaCase {
  std::string name;
  AdapterLayer layer;
  TestTensor below;
  std::function<Values(const Values& below, double weight)> expected;
  std::string kind;
  int64_t rank = 0;
  bool reads_once = true;             // each element below
  std::set<std::string> reads_often;  // parts whose elements are read more than once

  friend void PrintTo(const FormulaCase& formula, std::ostream* out) { *out << formula.name; }
};

std::vector<FormulaCase> formula_cases();

// The parameters of the cases: several tiles of 64 rows, several panels of 32 columns.
constexpr int64_t kOut = 72, kIn = 150, kConvOut = 20, kConvIn = 18;
constexpr size_t kTaps = 9;
inline const std::vector<int64_t> kLinear{kOut, kIn}, kConv{kConvOut, kConvIn, 3, 3};

FormulaCase make_case(std::string name, const Parameter& parts, std::vector<int64_t> dims, std::string kind,
                      int64_t rank, std::function<Values(const Values&, double)> expected, DType below = DType::f16);
// DoRA, GLoRA, IA3, OFT: the formulas that do not only add.
void add_multiplying_cases(std::vector<FormulaCase>& cases);

}  // namespace tempera
