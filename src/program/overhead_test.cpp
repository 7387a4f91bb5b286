// Memory of bound programs: per step, and once for each distinct problem of a kernel that keeps something for it.
#include "program/overhead.h"

#include <array>

#include "program/lower_fixture.h"

namespace tempera {
namespace {

Step step(uint32_t kernel, int64_t rows) {
  const TensorDesc desc{DType::f32, {rows, 8}};
  Step step;
  step.op = Add{};
  step.kernel = kernel;
  step.inputs = {{Space::arena, 0, desc}, {Space::arena, 0, desc}};
  step.output.desc = desc;
  return step;
}

TEST(Overhead, CountsADistinctProblemOnce) {
  KernelInfo keeps, other, nothing;
  keeps.overhead = 100;
  other.overhead = 1000;
  Target target;
  target.kernels = {&keeps, &other, &nothing};
  target.overhead_step = 1;
  Program first, second;
  first.steps = {step(0, 2), step(0, 2), step(0, 3), step(2, 2)};
  second.steps = {step(0, 3), step(1, 3)};
  const std::array<const Program*, 1> alone{&first};
  EXPECT_EQ(overhead_of(alone, target), 4u + 200);
  const std::array<const Program*, 2> both{&first, &second};
  EXPECT_EQ(overhead_of(both, target), 6u + 200 + 1000);
  EXPECT_EQ(overhead_of({}, target), 0u);
}

}  // namespace
}  // namespace tempera
