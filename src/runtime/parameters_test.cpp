// Sharing of parameters: equal forms are packed once, a new form replaces the old one, and unneeded memory is given
// back. Programs here are lists of weights; the backend is the reference backend.
#include "runtime/parameters.h"

#include <gtest/gtest.h>

#include <cstring>

#include "backend/reference/reference.h"

namespace tempera {
namespace {

class NamedCheckpoint final : public Checkpoint {
 public:
  std::vector<std::string> names() const override { return {}; }
  std::optional<CheckpointTensor> find(std::string_view) const override { return std::nullopt; }
  std::string origin(std::string_view name) const override { return std::string(name); }
};

WeightSlot weight(const std::string& name, const std::string& layout, size_t bytes) {
  return {{{name}}, {DType::f32, {static_cast<int64_t>(bytes / 4)}}, 0, 1, 0, bytes, layout};
}

Program reading(std::vector<WeightSlot> weights) {
  Program program;
  program.weights = std::move(weights);
  return program;
}

class ParametersTest : public ::testing::Test {
 protected:
  using Others = Parameters::Others;

  void hold(const std::vector<const Program*>& programs, Others others = Others::keep) {
    std::vector<ParameterUse> uses;
    uses.reserve(programs.size());
    for (const Program* program : programs) uses.push_back({&component_, program});
    parameters_.hold(uses, others);
  }
  // Packs bytes of that value if the parameter must be packed. Returns the first byte at its place.
  int load(const WeightSlot& slot, int value, uint64_t revision = 0) {
    const std::byte* at = parameters_.packed(
        component_, slot, revision, [&](std::byte* to) { std::memset(to, value, slot.bytes); }, staging_);
    for (size_t i = 1; i < slot.bytes; ++i) EXPECT_EQ(at[i], at[0]) << slot.source.names[0];
    return static_cast<int>(at[0]);
  }

  std::unique_ptr<Backend> backend_ = make_reference_backend();
  std::unique_ptr<Queue> queue_ = backend_->make_queue();
  NamedCheckpoint component_, other_component_;
  Parameters parameters_{*backend_, *queue_};
  std::vector<std::byte> staging_;
};

TEST_F(ParametersTest, ArePackedWhenTheyAreFirstLoaded) {
  const Program program = reading({weight("a", "plain", 128), weight("b", "plain", 192)});
  hold({&program});
  EXPECT_EQ(parameters_.bytes(), 320u);
  EXPECT_EQ(parameters_.bytes_packed(), 0u);
  EXPECT_EQ(load(program.weights[0], 1), 1);
  EXPECT_EQ(load(program.weights[0], 2), 1);  // is there already
  EXPECT_EQ(parameters_.bytes_packed(), 128u);
}

TEST_F(ParametersTest, AreSharedByProgramsThatReadThemInTheSameForm) {
  const Program first = reading({weight("a", "plain", 128), weight("b", "plain", 192)});
  const Program second = reading({weight("b", "plain", 192), weight("c", "plain", 64)});
  hold({&first, &second});
  EXPECT_EQ(parameters_.bytes(), 128u + 192 + 64);
  EXPECT_EQ(load(first.weights[1], 1), 1);
  EXPECT_EQ(load(second.weights[0], 2), 1);
  EXPECT_EQ(parameters_.bytes_packed(), 192u);
}

TEST_F(ParametersTest, OfAnotherComponentAreOthers) {
  const Program program = reading({weight("a", "plain", 128)});
  const ParameterUse uses[] = {{&component_, &program}, {&other_component_, &program}};
  parameters_.hold(uses, Others::keep);
  EXPECT_EQ(parameters_.bytes(), 256u);
  EXPECT_EQ(load(program.weights[0], 1), 1);
  parameters_.forget(other_component_);
  EXPECT_EQ(parameters_.bytes_of_others(), 128u);  // a hole in the only slab
  EXPECT_EQ(load(program.weights[0], 2), 1);
}

// Regression: all parameters were packed in the new form while the old one was still there.
TEST_F(ParametersTest, InAnotherFormReplaceTheOldOneInItsPlace) {
  const Program small = reading({weight("a", "plain", 128), weight("b", "blocked", 256), weight("c", "plain", 64)});
  const Program large = reading({weight("a", "plain", 128), weight("b", "winograd", 256), weight("c", "plain", 64)});
  hold({&small});
  for (const WeightSlot& slot : small.weights) load(slot, 1);
  const size_t bytes = parameters_.bytes(), packed = parameters_.bytes_packed();
  const uint64_t generation = parameters_.generation();
  hold({&large});
  EXPECT_EQ(parameters_.bytes(), bytes);  // never both at the same time
  EXPECT_NE(parameters_.generation(), generation);
  for (const WeightSlot& slot : large.weights) load(slot, 2);
  EXPECT_EQ(parameters_.bytes_packed() - packed, 256u);  // the one whose form differs
  EXPECT_EQ(load(large.weights[0], 3), 1);
  EXPECT_EQ(load(large.weights[1], 3), 2);
  hold({&small});
  EXPECT_EQ(load(small.weights[1], 4), 4);
  EXPECT_EQ(parameters_.bytes(), bytes);
}

TEST_F(ParametersTest, AreThereInTwoFormsOnlyWhereTheProgramsReadBoth) {
  const Program plain = reading({weight("a", "plain", 128)}), blocked = reading({weight("a", "blocked", 128)});
  hold({&plain, &blocked});
  EXPECT_EQ(parameters_.bytes(), 256u);
  load(plain.weights[0], 1);
  load(blocked.weights[0], 2);
  EXPECT_EQ(load(plain.weights[0], 3), 1);
  hold({&plain});
  EXPECT_EQ(load(plain.weights[0], 3), 1);
  hold({&plain, &blocked});
  EXPECT_EQ(load(blocked.weights[0], 4), 4);
}

TEST_F(ParametersTest, OfEarlierProgramsStayOrGo) {
  const Program first = reading({weight("a", "plain", 128)}), second = reading({weight("b", "plain", 64)});
  hold({&first});
  load(first.weights[0], 1);
  hold({&second});
  EXPECT_EQ(parameters_.bytes_of_others(), 128u);
  hold({&first});
  EXPECT_EQ(load(first.weights[0], 2), 1);
  hold({&second}, Others::drop);
  EXPECT_EQ(parameters_.bytes(), 64u);
  EXPECT_EQ(parameters_.bytes_of_others(), 0u);
  hold({&first});
  EXPECT_EQ(load(first.weights[0], 3), 3);
}

TEST_F(ParametersTest, ThatStayKeepTheirValuesWhenHolesAreClosed) {
  constexpr size_t kLarge = 1 << 20;
  const Program both = reading({weight("a", "plain", kLarge), weight("b", "plain", kLarge), weight("c", "plain", 64)});
  const Program last = reading({weight("b", "plain", kLarge), weight("c", "plain", 64)});
  hold({&both});
  for (int i = 0; i < 3; ++i) load(both.weights[static_cast<size_t>(i)], i + 1);
  const uint64_t generation = parameters_.generation();
  hold({&last}, Others::drop);
  EXPECT_EQ(parameters_.bytes(), kLarge + 64);
  EXPECT_NE(parameters_.generation(), generation);
  EXPECT_EQ(load(last.weights[0], 9), 2);
  EXPECT_EQ(load(last.weights[1], 9), 3);
  EXPECT_EQ(parameters_.bytes_packed(), 2 * kLarge + 64);
}

// Regression: equal programs kept parameters whose values had changed.
TEST_F(ParametersTest, OfAnotherRevisionArePackedAnew) {
  const Program program = reading({weight("a", "plain", 128), weight("b", "plain", 128)});
  hold({&program});
  load(program.weights[0], 1, 0);
  load(program.weights[1], 1, 0);
  EXPECT_EQ(load(program.weights[0], 2, 7), 2);
  EXPECT_EQ(load(program.weights[1], 2, 0), 1);
  EXPECT_EQ(parameters_.bytes_packed(), 3 * 128u);
}

TEST_F(ParametersTest, ThatFailToBePackedAreNotThere) {
  const Program program = reading({weight("a", "plain", 128)});
  hold({&program});
  EXPECT_THROW(parameters_.packed(
                   component_, program.weights[0], 0, [](std::byte*) { throw std::runtime_error("read"); }, staging_),
               std::runtime_error);
  EXPECT_EQ(load(program.weights[0], 5), 5);
}

}  // namespace
}  // namespace tempera
