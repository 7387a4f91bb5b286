// Programs that share memory. Results of a prologue survive other programs, or the loss is detected. Changed values of
// a checkpoint are copied to the device.
#include "runtime/executable.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "backend/reference/reference.h"
#include "base/error.h"
#include "ir/builder.h"
#include "program/residency.h"
#include "runtime/executables.h"

namespace tempera {
namespace {

// Every tensor has one value in all elements, which can change.
class Filled final : public Checkpoint {
 public:
  explicit Filled(std::vector<int64_t> dims, float value) : dims_(std::move(dims)) { fill(value); }
  void fill(float value) {
    size_t elements = 1;
    for (const int64_t d : dims_) elements *= static_cast<size_t>(d);
    values_ = std::make_shared<std::vector<float>>(elements, value);
    revision_ = std::bit_cast<uint32_t>(value);
  }
  std::vector<std::string> names() const override { return {"w.weight"}; }
  std::optional<CheckpointTensor> find(std::string_view) const override {
    return CheckpointTensor{DType::f32, dims_,
                            std::make_shared<StoredElements>(DType::f32, std::as_bytes(std::span(*values_)), values_),
                            revision_};
  }
  uint64_t revision() const override { return revision_; }
  std::string origin(std::string_view name) const override { return std::string(name); }

 private:
  std::vector<int64_t> dims_;
  std::shared_ptr<std::vector<float>> values_;
  uint64_t revision_ = 0;
};

constexpr int64_t kWidth = 64;

// y = silu(w c) + x, in which silu(w c) is constant for a request.
Program with_constant(const Target& target, bool hoist = true) {
  Builder b("constant", DType::f32);
  const Tensor c = b.input("c", DType::f32, {1, kWidth}), x = b.input("x", DType::f32, {1, kWidth}, Rate::step);
  const Tensor constant = b.silu(b.linear(c, Scope("w"), {.out = kWidth, .bias = false}));
  b.output("y", b.add(x, constant));
  LowerOptions options;
  options.hoist = hoist;
  return lower(std::move(b).finish(), target, options);
}

class ExecutableTest : public ::testing::Test {
 protected:
  static void write(Executable& e, std::string_view input, float value) {
    e.write_input(input, std::vector<float>(kWidth, value));
  }
  // Executables of two programs that differ in their names only. They share parameters.
  std::vector<Executable*> two_alike(Executables& executables) {
    Program other = program_;
    other.name = "other";
    const ParameterUse uses[] = {{&weights_, &program_}, {&weights_, &other}};
    return executables.use(uses, Parameters::Others::keep);
  }
  static float result(Executable& e) { return e.read_output("y").at(0); }
  static float silu(float x) { return x / (1 + std::exp(-x)); }

  std::unique_ptr<Backend> backend_ = make_reference_backend();
  std::unique_ptr<Queue> queue_ = backend_->make_queue();
  Filled weights_{{kWidth, kWidth}, 0.01f};
  Program program_ = with_constant(backend_->target());
};

TEST_F(ExecutableTest, KeepsWhatItsPrologueComputedWhileOtherProgramsRun) {
  const Program program = with_constant(backend_->target());
  EXPECT_GT(program.memory.kept, 0u);
  const Program other = with_constant(backend_->target(), false);  // its values fill the scratch memory in every run
  Executables executables(*backend_, *queue_, true);
  // With room for both, the results stay. Without, the other program's values overwrite them, and the loss is detected.
  for (const bool room : {true, false}) {
    Program large = program;
    large.name = "large";
    large.memory.arena += room ? other.memory.scratch() : 0;
    const ParameterUse uses[] = {{&weights_, &program}, {&weights_, &other}, {&weights_, &large}};
    const std::vector<Executable*> all = executables.use(uses, Parameters::Others::drop);
    Executable &one = *all[0], &two = *all[1];
    one.load();
    two.load();
    write(one, "c", 1);
    one.run_prologue();
    for (const float x : {1.0f, 2.0f, 3.0f}) {
      write(two, "c", 100 * x);
      write(two, "x", 0);
      two.run();
      EXPECT_EQ(one.kept(), room);
      if (!one.kept()) one.run_prologue();
      write(one, "x", x);
      one.run();
      EXPECT_NEAR(result(one), x + silu(kWidth * 0.01f), 1e-5);
    }
  }
}

// Regression: values changed, another program packed them, and they changed back. The first program's state was the
// same, so it did not pack its values again.
TEST_F(ExecutableTest, PacksAgainWhatAnotherProgramReplaced) {
  Executables executables(*backend_, *queue_, true);
  const std::vector<Executable*> both = two_alike(executables);
  const auto run = [&](Executable& e, float value) {
    weights_.fill(value);
    e.load();
    write(e, "c", 1);
    write(e, "x", 0);
    e.run_prologue();
    e.run();
    EXPECT_NEAR(result(e), silu(kWidth * value), 1e-5);
  };
  for (int turn = 0; turn < 2; ++turn) {
    run(*both[0], 0.01f);
    run(*both[1], 0.03f);
  }
  const size_t packed = executables.parameters().bytes_packed();
  both[1]->load();
  EXPECT_EQ(executables.parameters().bytes_packed(), packed);
}

// Regression: a run continued with the values that another program had left there.
TEST_F(ExecutableTest, SaysWhenAnotherPrologueOverwroteWhatItKept) {
  Executables executables(*backend_, *queue_, true);
  const std::vector<Executable*> both = two_alike(executables);
  for (Executable* e : both) {
    e->load();
    write(*e, "c", 1);
    write(*e, "x", 0);
  }
  EXPECT_FALSE(both[0]->kept());  // never computed
  both[0]->run_prologue();
  EXPECT_TRUE(both[0]->kept());
  both[1]->run_prologue();
  EXPECT_FALSE(both[0]->kept());
  EXPECT_THROW(both[0]->run(), Error);
  both[0]->run_prologue();
  both[0]->run();
  EXPECT_NEAR(result(*both[0]), silu(kWidth * 0.01f), 1e-5);
}

// Regression: equal programs kept the weights of old values.
TEST_F(ExecutableTest, ReadsValuesThatChangedInTheCheckpoint) {
  const Program resident = with_constant(backend_->target());
  const Program travelling = stream_weights(resident, {.stream = 0, .alignment = backend_->target().alignment});
  for (const Program& program : {resident, travelling}) {
    weights_.fill(0.01f);
    LoneExecutable lone(program, *backend_, *queue_, weights_);
    Executable& e = *lone;
    for (const float value : {0.01f, 0.02f, 0.01f}) {
      weights_.fill(value);
      e.load();
      write(e, "c", 1);
      write(e, "x", 0);
      e.run_prologue();
      e.run();
      EXPECT_NEAR(result(e), silu(kWidth * value), 1e-5);
    }
  }
}

TEST_F(ExecutableTest, RunsOnWhenMemoryMovedAndParametersWereDropped) {
  const Program program = with_constant(backend_->target());
  Program large = program;
  large.name = "large";
  large.memory.arena += 1 << 20;  // the scratch memory grows
  Executables executables(*backend_, *queue_, true);
  const ParameterUse first[] = {{&weights_, &program}}, second[] = {{&weights_, &large}};
  for (int round = 0; round < 3; ++round)
    for (const auto others : {Parameters::Others::keep, Parameters::Others::drop})
      for (const std::span<const ParameterUse> uses : {std::span(first), std::span(second)}) {
        Executable& e = *executables.use(uses, others).front();
        e.load();
        write(e, "c", 1);
        write(e, "x", 1);
        e.run_prologue();
        e.run();
        EXPECT_NEAR(result(e), 1 + silu(kWidth * 0.01f), 1e-5);
      }
  EXPECT_EQ(executables.parameters().bytes_packed(), kWidth * kWidth * sizeof(float));
}

TEST_F(ExecutableTest, EndsThoseThatWereUsedLongestAgo) {
  std::vector<Program> programs;
  for (size_t i = 0; i < 2 * Executables::kMostOthers; ++i) {
    programs.push_back(with_constant(backend_->target()));
    programs.back().name += std::to_string(i);
  }
  Executables executables(*backend_, *queue_, true);
  size_t most = 0;
  for (const Program& program : programs) {
    const ParameterUse use{&weights_, &program};
    executables.use({&use, 1}, Parameters::Others::keep);
    most = std::max(most, executables.bytes_of_others());
  }
  const size_t others = Executables::kMostOthers * programs.front().memory.io;
  EXPECT_EQ(most, others);
  const ParameterUse use{&weights_, &programs.back()};
  executables.use({&use, 1}, Parameters::Others::drop);
  EXPECT_EQ(executables.bytes_of_others(), 0u);
}

}  // namespace
}  // namespace tempera
