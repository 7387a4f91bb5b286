// Random small graphs on the reference backend. Shared memory, hoisted constants and every pass must not change a bit
// of any output, over several steps of a request.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "backend/reference/reference.h"
#include "base/half.h"
#include "conformance/interpreter.h"
#include "ir/builder.h"
#include "passes/passes.h"

namespace tempera {
namespace {

constexpr int64_t kBatch = 2, kSide = 4;
constexpr int kSteps = 3;

std::vector<std::byte> normal_bytes(const TensorDesc& desc, uint32_t seed, float deviation = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(desc.shape.elements()));
  for (float& v : values) v = normal(engine);
  std::vector<std::byte> bytes(desc.bytes());
  convert(values.data(), DType::f32, bytes.data(), desc.dtype, values.size());
  return bytes;
}

// Makes a graph of pieces like those of a UNet. Operands are mostly recent values and sometimes old ones, so that there
// are lifetimes of all lengths.
class Generator {
 public:
  explicit Generator(uint32_t seed)
      : random_(seed), dtype_(below(2) == 0 ? DType::f32 : DType::bf16), b_("random", dtype_) {}

  Graph run() {
    const Shape latent{kBatch, kSide, kSide, 4};
    const Tensor state = b_.input("state", DType::f32, latent, Rate::step);
    const Tensor step = b_.input("step", DType::f32, {kBatch, StepLayout::length(1)}, Rate::step);
    const Tensor noise = b_.input("noise", DType::f32, latent, Rate::step);
    const Tensor context = b_.input("context", dtype_, {kBatch, 5, 8}, Rate::request);
    time_.push_back(b_.input("time", dtype_, {kBatch, 8}, Rate::step));
    time_.push_back(b_.input("size", dtype_, {kBatch, 8}, Rate::request));
    images_ = {b_.op(ModelInput{0, 1, dtype_}, {state, step}), b_.input("picture", dtype_, latent, Rate::request)};
    tokens_ = {context};
    const uint32_t pieces = 6 + below(20);
    for (uint32_t i = 0; i < pieces; ++i) add_piece();
    const Tensor prediction = conv(images_.back(), 4);
    b_.output("prediction", prediction);
    b_.output("state", b_.op(SamplerUpdate{1}, {state, prediction, noise, step}), "state");
    return std::move(b_).finish();
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  Scope name() { return Scope("w") / weights_++; }
  const Tensor& pick(const std::vector<Tensor>& from) {
    const auto n = static_cast<uint32_t>(from.size());
    return from[below(3) == 0 ? below(n) : n - 1 - below(std::min(n, 2u))];
  }
  Activation activation() {
    constexpr Activation kKinds[] = {Activation::silu, Activation::gelu, Activation::relu, Activation::tanh};
    return kKinds[below(4)];
  }
  Tensor conv(Tensor x, int64_t out) { return b_.conv2d(x, name(), {.out = out}); }
  Tensor linear(Tensor x, int64_t out) { return b_.linear(x, name(), {.out = out, .bias = below(2) == 0}); }

  void add_piece() {
    const Tensor x = pick(images_);
    switch (below(11)) {
      case 0:
        return images_.push_back(conv(x, 4 + 4 * below(2)));
      case 1:
        return images_.push_back(b_.activate(x, activation()));
      case 2:
        return images_.push_back(b_.scale(x, 0.5f, 0.25f));
      case 3:
        return images_.push_back(b_.concat(conv(x, 4), conv(pick(images_), 4)));
      case 4:
        return images_.push_back(resnet(x));
      case 5:
      case 6:
        return images_.push_back(transformer(x));
      case 7:
        return time_.push_back(b_.activate(linear(pick(time_), 8), activation()));
      case 8:
        return tokens_.push_back(b_.layer_norm(linear(pick(tokens_), 8), name(), 1e-5f));
      case 9:
        return images_.push_back(up(x, pick(images_)));
      default:
        return images_.push_back(b_.cast(b_.cast(x, DType::f32), dtype_));
    }
  }
  Tensor resnet(Tensor x) {
    const int64_t c = x.channels();
    Tensor h = conv(b_.silu(b_.group_norm(x, name(), 2, 1e-5f)), c);
    h = b_.add(h, b_.view(linear(b_.silu(pick(time_)), c), {kBatch, 1, 1, c}));
    return b_.add(conv(b_.silu(b_.group_norm(h, name(), 2, 1e-5f)), c), x);
  }
  Tensor up(Tensor x, Tensor skip) {
    const Tensor both = b_.concat(x, skip);
    const Tensor h = conv(b_.silu(b_.group_norm(both, name(), 2, 1e-5f)), 4);
    return b_.add(b_.conv2d(both, name(), {.out = 4, .kernel = 1, .pad = 0}), h);
  }
  Tensor transformer(Tensor x) {
    const int64_t c = x.channels();
    Tensor h = b_.view(x, {kBatch, kSide * kSide, c});
    const Tensor n = b_.layer_norm(h, name(), 1e-5f);
    const Tensor from = below(2) == 0 ? n : pick(tokens_);
    const Tensor q = plain(n, c), k = plain(from, c), v = plain(from, c);
    h = b_.add(linear(b_.attention(q, k, v, 2), c), h);
    const Tensor gate = b_.gelu_gate(linear(b_.layer_norm(h, name(), 1e-5f), 4 * c));
    return b_.view(b_.add(linear(gate, c), h), {kBatch, kSide, kSide, c});
  }
  Tensor plain(Tensor x, int64_t out) { return b_.linear(x, name(), {.out = out, .bias = false}); }

  std::mt19937 random_;
  DType dtype_;
  Builder b_;
  std::vector<Tensor> images_, tokens_, time_;
  int weights_ = 0;
};

std::map<std::string, SourceWeight::Part> weights_of(const Graph& graph) {
  std::map<std::string, SourceWeight::Part> weights;
  for (const Node& node : graph.nodes())
    if (const auto* weight = std::get_if<Weight>(&node.op)) {
      const auto seed = static_cast<uint32_t>(weights.size());
      weights[weight->names[0]] = {node.output.dtype, normal_bytes(node.output, seed, 0.3f)};
    }
  return weights;
}

// Every output after each step of a request of kSteps. The state is written once and then updated in place.
std::vector<std::vector<std::byte>> outputs(Backend& backend, const Graph& graph, const LowerOptions& options,
                                            const std::map<std::string, SourceWeight::Part>& weights) {
  const Program program = lower(graph, backend.target(), options);
  Interpreter interpreter(backend, program, weights);
  uint32_t seed = 100;
  const auto fill = [&](const IoSlot& slot) {
    interpreter.set_input(slot.name, normal_bytes(slot.ref.desc, seed++, 0.5f));
  };
  for (const IoSlot& slot : program.inputs) fill(slot);
  interpreter.run_prologue();
  std::vector<std::vector<std::byte>> out;
  for (int step = 0; step < kSteps; ++step) {
    for (const char* name : {"step", "noise", "time"}) fill({name, program.input(name).ref});
    interpreter.run_step();
    for (const IoSlot& slot : program.outputs) out.push_back(interpreter.output(slot.name));
  }
  return out;
}

constexpr uint32_t kGraphs = 60;

TEST(RandomGraph, SharingAndHoistingChangeNothing) {
  const auto backend = make_reference_backend();
  int hoisted = 0, in_place = 0;
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = Generator(seed).run();
    const auto weights = weights_of(graph);
    const auto expected = outputs(*backend, graph, {{}, false, false}, weights);
    for (bool hoist : {false, true})
      for (bool reuse : {false, true})
        EXPECT_EQ(outputs(*backend, graph, {{}, hoist, reuse}, weights), expected)
            << "seed " << seed << " hoist " << hoist << " reuse " << reuse << "\n"
            << dump(graph);
    const Program program = lower(graph, backend->target());
    EXPECT_LE(program.memory.arena, lower(graph, backend->target(), {{}, true, false}).memory.arena);
    hoisted += program.prologue > 0 ? 1 : 0;
    for (const Step& step : program.steps)
      in_place += step.output.space == Space::arena && step.inputs[0].space == Space::arena &&
                          step.output.offset == step.inputs[0].offset
                      ? 1
                      : 0;
  }
  EXPECT_GT(hoisted, 10) << "graphs that have something to hoist";
  EXPECT_GT(in_place, 100) << "steps that ran in place";
}

TEST(RandomGraph, PassesChangeNothing) {
  const auto backend = make_reference_backend();
  std::map<std::string_view, int> changed;
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    const Graph graph = Generator(seed).run();
    const auto weights = weights_of(graph);
    const auto expected = outputs(*backend, graph, {}, weights);
    for (const Pass& pass : all_passes()) {
      const Graph after = pass.run(graph);
      if (dump(after) == dump(graph)) continue;
      ++changed[pass.name];
      EXPECT_EQ(outputs(*backend, after, {}, weights), expected) << "seed " << seed << " pass " << pass.name;
    }
    EXPECT_EQ(outputs(*backend, optimize(graph), {}, weights), expected) << "seed " << seed << " all passes";
  }
  for (const Pass& pass : all_passes()) EXPECT_GT(changed[pass.name], 10) << pass.name;
}

}  // namespace
}  // namespace tempera
