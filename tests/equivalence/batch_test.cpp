// Pictures at different steps, with different samplers and guidance, in one batch: each is the same as alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>

#include "ir/builder.h"
#include "models/unet.h"
#include "passes/passes.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"
#include "support/reference.h"

namespace tempera {
namespace {

using Floats = std::vector<float>;

Floats normal(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  Floats values(n);
  for (float& v : values) v = distribution(generator);
  return values;
}

void append(Floats& all, std::span<const float> more) {
  all.insert(all.end(), more.begin(), more.end());
}

// One evaluation of a picture's sampler.
struct StepOf {
  float input_scale = 1, guidance = 1, rescale = 0;
  int slots = 1;
  Floats matrix = {};  // slots x (slots + 2)
  int threshold_slot = 0;

  // As a row of a program with more slots.
  Floats row(int program_slots) const {
    Floats out(static_cast<size_t>(StepLayout::length(program_slots)));
    out[StepLayout::kInputScale] = input_scale;
    out[StepLayout::kGuidanceScale] = guidance;
    out[StepLayout::kGuidanceRescale] = rescale;
    out[StepLayout::kThresholdSlot] = static_cast<float>(threshold_slot);
    out[StepLayout::kThresholdOfSample] = 1.25f;
    out[StepLayout::kThresholdOfPrediction] = -0.75f;
    out[StepLayout::kThresholdRatio] = 0.9f;
    out[StepLayout::kThresholdMax] = 2;
    for (int k = 0; k < slots; ++k)
      for (int j = 0; j < slots + 2; ++j) {
        const int column = j < slots ? j : j - slots + program_slots;
        out[static_cast<size_t>(StepLayout::kUpdate + k * (program_slots + 2) + column)] =
            matrix[static_cast<size_t>(k * (slots + 2) + j)];
      }
    return out;
  }
};

// Compares bits: -0 is not 0.
void expect_same_bits(const Floats& found, const Floats& expected, const std::string& where) {
  ASSERT_EQ(found.size(), expected.size()) << where;
  for (size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(std::memcmp(&found[i], &expected[i], sizeof(float)), 0)
        << where << ": element " << i << " is " << found[i] << " instead of " << expected[i];
}

// A graph of one op, whose inputs are given by name.
Floats run_op(Backend& backend, const Op& op, const std::vector<std::pair<TensorDesc, Floats>>& inputs) {
  Graph graph("op");
  std::vector<ValueId> ids;
  for (const auto& [desc, values] : inputs)
    ids.push_back(graph.add_source(Input{std::to_string(ids.size()), Rate::step}, desc));
  graph.add_output("y", graph.add(op, ids));
  Program program = lower(graph, backend.target(), {});
  const auto queue = backend.make_queue();
  const test::RandomCheckpoint none(graph);
  LoneExecutable lone(std::move(program), backend, *queue, none);
  Executable& e = *lone;
  e.load();
  for (size_t i = 0; i < inputs.size(); ++i) e.write_input(std::to_string(i), inputs[i].second);
  e.run();
  return e.read_output("y");
}

class Batch : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { test::forbid_tf32(); }
  std::unique_ptr<Backend> backend_ = test::make_backend(GetParam());
};

constexpr int64_t kHeight = 7, kWidth = 29;
constexpr size_t kLatent = kHeight * kWidth;  // of one channel

// Ordinary numbers with many zeros of both signs, so that whole sums are zero.
Floats with_zeros(size_t n, unsigned seed) {
  Floats values = normal(n, seed);
  std::mt19937 generator(seed);
  const float special[] = {0.0f, -0.0f, 1e-30f, -1e-30f};
  for (float& v : values)
    if (const auto which = generator() % 6; which < 4) v = special[which];
  return values;
}

// Pictures with thresholding and without in one batch, each in its last slot.
TEST_P(Batch, NeighboursChangeNoBitOfAThresholdedPicture) {
  constexpr int kPictures = 3, kSlots = 5;
  const auto shape_of = [](int64_t pictures, int slots) { return Shape{pictures, slots * kHeight, kWidth, 1}; };
  Floats states, predictions, steps;
  std::vector<Floats> alone;
  for (int n = 0; n < kPictures; ++n) {
    const int own = 2 + n;
    const auto seed = static_cast<unsigned>(10 * n);
    StepOf step{.slots = own, .threshold_slot = n == 1 ? 0 : own - 1};
    step.matrix = Floats(static_cast<size_t>(own * (own + 2)));
    Floats state = normal(kLatent * static_cast<size_t>(own), seed + 1);
    const Floats prediction = normal(kLatent, seed + 2);
    alone.push_back(run_op(*backend_, ThresholdSample{own},
                           {{{DType::f32, shape_of(1, own)}, state},
                            {{DType::f32, shape_of(1, 1)}, prediction},
                            {{DType::f32, {1, StepLayout::length(own)}}, step.row(own)}}));
    EXPECT_EQ(alone.back() == state, n == 1);
    append(state, normal(kLatent * static_cast<size_t>(kSlots - own), seed + 3));
    append(states, state);
    append(predictions, prediction);
    append(steps, step.row(kSlots));
  }
  const Floats together = run_op(*backend_, ThresholdSample{kSlots},
                                 {{{DType::f32, shape_of(kPictures, kSlots)}, states},
                                  {{DType::f32, shape_of(kPictures, 1)}, predictions},
                                  {{DType::f32, {kPictures, StepLayout::length(kSlots)}}, steps}});
  const size_t picture = kLatent * kSlots;
  for (size_t n = 0; n < kPictures; ++n) {
    const auto first = together.begin() + static_cast<int64_t>(n * picture);
    const auto own = static_cast<int64_t>(alone[n].size());
    expect_same_bits(Floats(first, first + own), alone[n], "picture " + std::to_string(n));
    const auto rest = states.begin() + static_cast<int64_t>(n * picture) + own;
    EXPECT_TRUE(std::equal(first + own, first + static_cast<int64_t>(picture), rest)) << "other slots";
  }
}

TEST_P(Batch, FewerSlotsThanTheProgramChangeNoBit) {
  constexpr int kPictures = 3;
  const Shape one{1, kHeight, kWidth, 1}, all{kPictures, kHeight, kWidth, 1};
  const auto shape_of_state = [](int64_t pictures, int slots) { return Shape{pictures, slots * kHeight, kWidth, 1}; };
  for (int slots = 1; slots <= 8; ++slots) {
    Floats states, predictions, noises, steps;
    std::vector<Floats> alone;
    for (int n = 0; n < kPictures; ++n) {
      const int own = 1 + n % slots;
      const auto seed = static_cast<unsigned>(100 * slots + 10 * n);
      const StepOf step{.slots = own, .matrix = with_zeros(static_cast<size_t>(own * (own + 2)), seed)};
      Floats state = with_zeros(kLatent * static_cast<size_t>(own), seed + 1);
      const Floats prediction = with_zeros(kLatent, seed + 2), noise = with_zeros(kLatent, seed + 3);
      alone.push_back(run_op(*backend_, SamplerUpdate{own},
                             {{{DType::f32, shape_of_state(1, own)}, state},
                              {{DType::f32, one}, prediction},
                              {{DType::f32, one}, noise},
                              {{DType::f32, {1, StepLayout::length(own)}}, step.row(own)}}));
      append(state, normal(kLatent * static_cast<size_t>(slots - own), seed + 4));
      append(states, state);
      append(predictions, prediction);
      append(noises, noise);
      append(steps, step.row(slots));
    }
    const Floats together = run_op(*backend_, SamplerUpdate{slots},
                                   {{{DType::f32, shape_of_state(kPictures, slots)}, states},
                                    {{DType::f32, all}, predictions},
                                    {{DType::f32, all}, noises},
                                    {{DType::f32, {kPictures, StepLayout::length(slots)}}, steps}});
    const size_t picture = kLatent * static_cast<size_t>(slots);
    for (size_t n = 0; n < kPictures; ++n) {
      const auto first = together.begin() + static_cast<int64_t>(n * picture);
      const std::string where = std::to_string(slots) + " slots, picture " + std::to_string(n);
      expect_same_bits(Floats(first, first + static_cast<int64_t>(alone[n].size())), alone[n], where);
      for (size_t i = alone[n].size(); i < picture; ++i) EXPECT_EQ(first[static_cast<int64_t>(i)], 0) << where;
    }
  }
}

TEST_P(Batch, GuidanceIsThatOfEachPictureAlone) {
  // Two guided pictures, the second without rescaling and with a deviation of 0, and one that is not guided.
  const std::vector<StepOf> pictures = {
      {1, 7.5f, 0.7f, 1, {0, 0, 0}}, {1, 3, 0, 1, {0, 0, 0}}, {1, 9, 1, 1, {0, 0, 0}}};
  const std::vector<Floats> negative = {normal(kLatent, 1), Floats(kLatent, 0.5f)};
  const std::vector<Floats> positive = {normal(kLatent, 2), Floats(kLatent, -2.0f), with_zeros(kLatent, 3)};
  const auto desc = [](int64_t rows) { return TensorDesc{DType::f32, {rows, kHeight, kWidth, 1}}; };
  const auto step_desc = [](int64_t rows) { return TensorDesc{DType::f32, {rows, StepLayout::length(1)}}; };
  Floats rows, steps;
  for (const Floats& row : negative) append(rows, row);
  for (const Floats& row : positive) append(rows, row);
  for (const StepOf& step : pictures) append(steps, step.row(1));
  const Floats together = run_op(*backend_, Guidance{2, true}, {{desc(5), rows}, {step_desc(3), steps}});
  const auto picture = [&](size_t n) {
    const auto first = together.begin() + static_cast<int64_t>(n * kLatent);
    return Floats(first, first + static_cast<int64_t>(kLatent));
  };
  for (size_t n = 0; n < 2; ++n) {
    Floats both = negative[n];
    append(both, positive[n]);
    const Guidance alone{1, pictures[n].rescale != 0};
    expect_same_bits(picture(n), run_op(*backend_, alone, {{desc(2), both}, {step_desc(1), pictures[n].row(1)}}),
                     "picture " + std::to_string(n));
  }
  expect_same_bits(picture(2), positive[2], "the picture without guidance");
}

// A picture with all its data, made from its number.
struct Picture {
  unsigned number = 0;
  bool guided = true;
  float guidance = 5, rescale = 0;
  int slots = 1;
  float timesteps[2] = {601, 301};
  bool thresholded = false;  // in its last slot
};

// The tiny model's denoising step for pictures, the guided ones first.
class Denoising {
 public:
  Denoising(Backend& backend, const std::vector<Picture>& pictures) : pictures_(pictures) {
    DenoiseGraphOptions options;
    options.images = static_cast<int>(pictures.size());
    options.guided = static_cast<int>(std::ranges::count_if(pictures, &Picture::guided));
    for (const Picture& p : pictures) {
      options.slots = std::max(options.slots, p.slots);
      options.guidance_rescale = options.guidance_rescale || p.rescale != 0;
      options.thresholding = options.thresholding || p.thresholded;
    }
    slots_ = options.slots;
    options.unet = {.height = 4, .width = 6, .tokens = 7};
    const Graph graph = optimize(denoise_graph(preset("tiny").unet, options));
    Program program = lower(graph, backend.target(), {});
    queue_ = backend.make_queue();
    checkpoint_.emplace(graph);
    lone_.emplace(std::move(program), backend, *queue_, *checkpoint_);
    executable_ = &**lone_;
    executable_->load();
  }

  // Two steps. Returns the slots of each picture.
  std::vector<Floats> run() {
    condition("encoder_hidden_states", 1);
    condition("text_embeds", 2);
    condition("time_ids", 3);
    // Slots that a picture's sampler does not have start with any finite values.
    const size_t latent = elements("noise") / pictures_.size(), row = elements("state") / pictures_.size();
    fill("state", [&](const Picture& p) { return normal(row, 10 * p.number + 4); });
    executable_->run_prologue();
    for (unsigned i = 0; i < 2; ++i) {
      fill("timestep", [&](const Picture& p) { return Floats{p.timesteps[i]}; });
      fill("noise", [&](const Picture& p) { return normal(latent, 10 * p.number + 5 + i); });
      fill("step", [&](const Picture& p) {
        const auto n = static_cast<float>(p.number);
        Floats matrix = normal(static_cast<size_t>(p.slots * (p.slots + 2)), 10 * p.number + 7 + i);
        return StepOf{0.2f * n, p.guidance, p.rescale, p.slots, std::move(matrix), p.thresholded ? p.slots - 1 : 0}.row(
            slots_);
      });
      executable_->run();
    }
    const Floats state = executable_->read_output("state");
    std::vector<Floats> out;
    for (size_t n = 0; n < pictures_.size(); ++n) {
      const auto first = state.begin() + static_cast<int64_t>(n * row);
      out.emplace_back(first, first + static_cast<int64_t>(latent) * pictures_[n].slots);
    }
    return out;
  }

 private:
  size_t elements(const std::string& input) const {
    return static_cast<size_t>(executable_->program().input(input).ref.desc.shape.elements());
  }
  void fill(const std::string& input, const std::function<Floats(const Picture&)>& row) {
    Floats all;
    for (const Picture& p : pictures_) append(all, row(p));
    executable_->write_input(input, all);
  }
  void condition(const std::string& input, unsigned seed) {
    const Shape& shape = executable_->program().input(input).ref.desc.shape;
    const auto width = static_cast<size_t>(shape.elements() / shape[0]);
    Floats all;
    for (const Picture& p : pictures_)
      if (p.guided) append(all, normal(width, 1000 * p.number + seed));
    for (const Picture& p : pictures_) append(all, normal(width, 2000 * p.number + seed));
    executable_->write_input(input, all);
  }

  std::vector<Picture> pictures_;
  int slots_ = 1;
  std::unique_ptr<Queue> queue_;
  std::optional<test::RandomCheckpoint> checkpoint_;
  std::optional<LoneExecutable> lone_;
  Executable* executable_ = nullptr;
};

// The reference computes every row separately. Devices may use other kernels for other batches, so the results are
// equal within rounding.
TEST_P(Batch, PicturesOfAMixedBatchAreThoseDrawnAlone) {
  const Picture rescaled{.number = 1, .rescale = 0.7f, .timesteps = {901, 801}};
  const Picture guided{.number = 2, .guidance = 3, .slots = 3, .timesteps = {601, 21}};
  const Picture plain{.number = 3, .guided = false, .slots = 2, .timesteps = {501, 1}};
  const Picture other{.number = 4, .guided = false, .timesteps = {11, 701}};
  const Picture thresholded{.number = 5, .slots = 2, .timesteps = {401, 301}, .thresholded = true};
  for (const std::vector<Picture>& batch :
       {std::vector{rescaled, guided, plain, other}, std::vector{guided, rescaled}, std::vector{plain, other},
        std::vector{thresholded, guided, rescaled, plain}}) {
    const std::vector<Floats> together = Denoising(*backend_, batch).run();
    for (size_t n = 0; n < batch.size(); ++n) {
      const Floats alone = Denoising(*backend_, {batch[n]}).run()[0];
      const std::string where = std::to_string(batch.size()) + " pictures, number " + std::to_string(batch[n].number);
      if (GetParam() == "reference") {
        expect_same_bits(together[n], alone, where);
      } else {
        EXPECT_LE(test::relative_error(together[n], alone), 1e-5) << where;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Batch, ::testing::ValuesIn(test::backend_names()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace tempera
