// Runs every row of every backend's table on every problem of its op. A row that runs no problem fails, because it is
// useless or never tested. Rows that this processor cannot run are skipped; their reason must contain "this machine".
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "base/error.h"
#include "conformance/harness.h"
#include "support/backends.h"

namespace tempera {
namespace {

constexpr std::string_view kReference = "reference";

// Backends, problems and the results of the reference, kept for all tests of the process.
struct Suite {
  std::vector<Case> cases = all_cases();
  Oracle oracle;
  std::map<std::string, std::unique_ptr<Backend>> backends;
  std::map<std::string, std::unique_ptr<Harness>> harnesses;

  Suite() {
    for (const std::string& name : test::backend_names()) {
      backends[name] = test::make_backend(name);
      harnesses[name] = std::make_unique<Harness>(*backends[name], oracle, name == kReference);
    }
  }
  static Suite& get() {
    static Suite suite;
    return suite;
  }
};

struct Row {
  std::string backend;
  std::string kernel;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.backend << " " << row.kernel;
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const auto& [name, backend] : Suite::get().backends)
    for (const Kernel& kernel : backend->kernels()) rows.push_back({name, std::string(kernel.info.name)});
  // Its results are those that the rows of other backends are compared with.
  std::stable_partition(rows.begin(), rows.end(), [](const Row& row) { return row.backend == kReference; });
  return rows;
}

std::string test_name(const testing::TestParamInfo<Row>& info) {
  std::string name = info.param.backend + "_" + info.param.kernel;
  for (char& ch : name)
    if (std::isalnum(static_cast<unsigned char>(ch)) == 0) ch = '_';
  return name;
}

// The results of a row for a list of problems.
class Tally {
 public:
  Tally(Harness& harness, const Kernel& kernel) : harness_(harness), kernel_(kernel) {}

  void run(const Case& c) {
    Verdict verdict = harness_.check(kernel_, c);
    if (verdict.refused) {
      ++refused_[*verdict.refused];
      return;
    }
    ++ran_;
    if (verdict.relative >= worst_) worst_ = verdict.relative, worst_case_ = c.name;
    const std::string rounding = harness_.check_decomposed(kernel_, c);
    if (!rounding.empty()) verdict.faults.push_back(rounding);
    for (const std::string& fault : verdict.faults)
      ADD_FAILURE() << kernel_.info.name << " " << fault << "\n  " << c.name;
  }

  int ran() const { return ran_; }
  bool is_for_another_machine() const {
    return ran_ == 0 && !refused_.empty() && std::all_of(refused_.begin(), refused_.end(), [](const auto& r) {
             return r.first.find("this machine") != std::string::npos;
           });
  }
  std::string summary() const {
    std::string out = fmt::format("{} ran {} problems", kernel_.info.name, ran_);
    if (ran_ > 0) out += fmt::format(", at most {:.2g} from the reference ({})", worst_, worst_case_);
    for (const auto& [reason, count] : refused_) out += fmt::format("; refused {}: {}", count, reason);
    return out;
  }

 private:
  Harness& harness_;
  const Kernel& kernel_;
  int ran_ = 0;
  double worst_ = 0;
  std::string worst_case_;
  std::map<std::string, int> refused_;
};

class Conformance : public testing::TestWithParam<Row> {
 protected:
  Harness& harness() const { return *Suite::get().harnesses.at(GetParam().backend); }
  const Kernel& kernel() const {
    for (const Kernel& k : Suite::get().backends.at(GetParam().backend)->kernels())
      if (k.info.name == GetParam().kernel) return k;
    fail(ErrorCode::internal, "no kernel {}", GetParam().kernel);
  }
};

TEST_P(Conformance, Row) {
  Tally tally(harness(), kernel());
  for (const Case& c : Suite::get().cases)
    if (c.size == CaseSize::quick && kind_of(c.problem.op) == kernel().info.op) tally.run(c);
  std::cout << tally.summary() << "\n";
  if (tally.is_for_another_machine()) GTEST_SKIP() << tally.summary();
  EXPECT_GT(tally.ran(), 0) << "no problem of the list was run by this row";
}

// Layers of the real model. Not for the reference, which would only be compared with itself.
TEST_P(Conformance, SlowRow) {
  if (GetParam().backend == kReference) GTEST_SKIP() << "the reference itself";
  Tally tally(harness(), kernel());
  for (const Case& c : Suite::get().cases)
    if (c.size == CaseSize::full && kind_of(c.problem.op) == kernel().info.op) tally.run(c);
  std::cout << tally.summary() << "\n";
}

INSTANTIATE_TEST_SUITE_P(Rows, Conformance, testing::ValuesIn(all_rows()), test_name);

TEST(ConformanceTable, KernelNamesAreUnique) {
  for (const auto& [name, backend] : Suite::get().backends) {
    std::set<std::string_view> names;
    for (const Kernel& kernel : backend->kernels()) EXPECT_TRUE(names.insert(kernel.info.name).second) << name;
  }
}

TEST(ConformanceTable, TargetListsTheKernelsInTheirOrder) {
  for (const auto& [name, backend] : Suite::get().backends) {
    ASSERT_EQ(backend->target().kernels.size(), backend->kernels().size()) << name;
    for (size_t i = 0; i < backend->kernels().size(); ++i)
      EXPECT_EQ(backend->target().kernels[i]->name, backend->kernels()[i].info.name) << name;
  }
}

TEST(ConformanceProblems, HaveUniqueNames) {
  std::set<std::string> names;
  for (const Case& c : Suite::get().cases) EXPECT_TRUE(names.insert(c.name).second) << c.name;
}

TEST(ConformanceProblems, CoverEveryOpThatComputes) {
  std::set<OpKind> covered;
  for (const Case& c : Suite::get().cases)
    if (c.size == CaseSize::quick) covered.insert(kind_of(c.problem.op));
  for (size_t kind = 0; kind < std::variant_size_v<Op>; ++kind) {
    const auto op = static_cast<OpKind>(kind);
    const bool computes = op != OpKind::input && op != OpKind::weight && op != OpKind::view;
    EXPECT_EQ(covered.contains(op), computes) << name(op);
  }
}

TEST(ConformanceProblems, AreFilledAlikeEveryTime) {
  for (const Case& c : Suite::get().cases) {
    if (c.size != CaseSize::quick) continue;
    for (size_t i = 0; i < c.fills.size(); ++i) {
      if (!c.fills[i].weight) {
        const auto bytes = input_bytes(c, i);
        ASSERT_EQ(bytes.size(), c.input(i).bytes()) << c.name;
        ASSERT_EQ(bytes, input_bytes(c, i)) << c.name;
        continue;
      }
      const SourceWeight a = source_weight(c, i);
      int64_t elements = 0;
      for (const auto& part : a.parts) elements += static_cast<int64_t>(part.bytes.size() / size_of(part.dtype));
      ASSERT_EQ(elements, c.input(i).shape.elements()) << c.name;
    }
  }
}

}  // namespace
}  // namespace tempera
