// Elementwise ops, ops that move elements, lookups, and the sampler's ops.
#include "conformance/cases.h"

namespace tempera {
namespace {

void add_maps(std::vector<Case>& cases, DType d) {
  for (const Shape& shape : {Shape{1}, Shape{3, 5, 7}, Shape{2, 8, 8, 320}, Shape{4099}}) {
    for (Activation a : kActivations) cases.push_back(make_case(Activate{a}, {activations(d, shape, 5)}));
    cases.push_back(make_case(Scale{{0.5f}, {0.5f}}, {activations(d, shape)}));
    cases.push_back(make_case(Scale{{1 / 0.13025f}, {0}}, {activations(d, shape)}));
    for (DType to : kFloats) cases.push_back(make_case(Cast{to}, {activations(d, shape)}));
    cases.push_back(make_case(Add{}, {activations(d, shape), activations(d, shape)}));
  }
  // The deviations and means of a latent, and more channels than a vector has.
  cases.push_back(make_case(Scale{{8, 5.5f, 0.25f, 7}, {-1.5f, 0, 0.5f, 2}}, {activations(d, {2, 5, 7, 4})}));
  cases.push_back(make_case(Scale{{2, -3, 0.5f}, {1, 0, -1}}, {activations(d, {1, 1, 1, 3})}));
  Scale wide{{}, {}};
  for (int c = 0; c < 33; ++c) {
    wide.factor.push_back(0.25f * static_cast<float>(c - 8));
    wide.offset.push_back(static_cast<float>(c % 3 - 1));
  }
  cases.push_back(make_case(wide, {activations(d, {3, 5, 33})}));
  for (const Shape& shape : {Shape{2}, Shape{13, 34}, Shape{2, 9, 320}, Shape{2, 3, 5, 14}})
    cases.push_back(make_case(GeluGate{}, {activations(d, shape, 2)}));
}

void add_sums(std::vector<Case>& cases, DType d) {
  const Shape image{2, 5, 7, 12};
  for (const Shape& b : {Shape{2, 1, 1, 12}, Shape{1, 1, 1, 12}, Shape{1, 5, 7, 12}, Shape{2, 5, 7, 1},
                         Shape{1, 1, 7, 12}, Shape{2, 5, 1, 12}, Shape{1, 1, 1, 1}})
    cases.push_back(make_case(Add{}, {activations(d, image), activations(d, b)}));
  cases.push_back(make_case(Add{}, {activations(d, {2, 16, 16, 320}), activations(d, {2, 1, 1, 320})}));
  // Position embeddings are parameters of the checkpoint.
  cases.push_back(make_case(Add{}, {activations(d, {2, 77, 64}), parameters(d, {1, 77, 64})}));
}

void add_moves(std::vector<Case>& cases, DType d) {
  struct Widths {
    int64_t a, b;
  };
  for (auto [a, b] : {Widths{320, 320}, Widths{640, 320}, Widths{1, 1}, Widths{3, 5}, Widths{33, 31}}) {
    cases.push_back(make_case(Concat{}, {activations(d, {2, 4, 4, a}), activations(d, {2, 4, 4, b})}));
    cases.push_back(make_case(Concat{}, {activations(d, {3, a}), activations(d, {3, b})}));
    cases.push_back(make_case(Concat{}, {activations(d, {2, 7, a}), activations(d, {2, 7, b})}));
  }
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{1, 8, 8, 320}, Shape{3, 2, 2, 33}})
    for (bool odd_height : {false, true})
      for (bool odd_width : {false, true})
        cases.push_back(make_case(Upsample2x{odd_height, odd_width}, {activations(d, shape)}));
  cases.push_back(make_case(Embed{}, {ids({2, 77}, 1000), parameters(d, {1000, 64})}));
  cases.push_back(make_case(Embed{}, {ids({1, 1}, 1), parameters(d, {1, 1})}));
  cases.push_back(make_case(Embed{}, {ids({3, 5}, 7), parameters(d, {7, 33})}));
  for (int64_t extra : {1, 75})  // of a few rows, so that ids are in both tables
    for (int64_t width : {1, 33, 64})
      cases.push_back(
          make_case(Embed{true}, {ids({2, 77}, 9 + extra), parameters(d, {9, width}), activations(d, {extra, width})}));
  cases.push_back(make_case(GatherRow{}, {activations(d, {2, 77, 64}), ids({2}, 77)}));
  cases.push_back(make_case(GatherRow{}, {activations(d, {3, 5, 33}), ids({3}, 5)}));
  cases.push_back(make_case(GatherRow{}, {activations(d, {1, 1, 1}), ids({1}, 1)}));
}

void add_sampling(std::vector<Case>& cases, DType d) {
  struct Pictures {
    int64_t count;
    int guided;
  };
  const Pictures none{1, 0}, one{1, 1}, all{3, 3}, some{3, 2}, few{5, 1}, most{5, 4};
  for (const auto& [count, guided] : {none, one, all, some, few, most}) {
    for (int64_t width : {1, 7, 320}) cases.push_back(make_case(BranchRows{guided}, {activations(d, {count, width})}));
    cases.push_back(make_case(BranchRows{guided}, {activations(d, {count, 3, 5, 4})}));
    for (int slots : {1, 3, 6})
      for (const Shape& size : {Shape{1, 1, 1}, Shape{16, 16, 4}, Shape{5, 7, 3}})
        cases.push_back(make_case(
            ModelInput{guided, slots, d},
            {activations(DType::f32, {count, slots * size[0], size[1], size[2]}, 10), step_rows(count, slots)}));
    if (guided == 0) continue;
    for (bool rescale : {false, true})
      for (const Shape& size : {Shape{16, 16, 4}, Shape{5, 7, 4}, Shape{1, 3, 1}, Shape{1, 1, 1}})
        cases.push_back(make_case(Guidance{guided, rescale},
                                  {activations(d, {guided + count, size[0], size[1], size[2]}), step_rows(count, 2)}));
  }
  for (int slots : {1, 2, 3, 4, 5, 6, 7, 8, 16})
    for (const Shape& picture : {Shape{1, 16, 16, 4}, Shape{3, 5, 7, 1}, Shape{5, 3, 3, 4}, Shape{1, 1, 1, 1}}) {
      Shape state = picture;
      state.set(1, picture[1] * slots);
      cases.push_back(
          make_case(SamplerUpdate{slots}, {activations(DType::f32, state, 10), activations(d, picture),
                                           activations(DType::f32, picture), step_rows(picture[0], slots)}));
    }
  for (int slots : {2, 3, 7})
    for (const Shape& picture : {Shape{1, 16, 16, 4}, Shape{5, 5, 7, 3}, Shape{2, 33, 31, 4}, Shape{1, 1, 1, 1}}) {
      Shape state = picture;
      state.set(1, picture[1] * slots);
      cases.push_back(make_case(ThresholdSample{slots}, {activations(DType::f32, state, 3), activations(d, picture),
                                                         step_rows(picture[0], slots)}));
    }
  for (const Shape& shape : {Shape{1, 16, 16, 3}, Shape{2, 5, 7, 3}, Shape{1, 1, 1, 1}})
    cases.push_back(make_case(ToRgb8{}, {activations(d, shape, 0.8)}));
}

void add_blending(std::vector<Case>& cases) {
  for (int slots : {1, 3, 8})
    for (const Shape& picture : {Shape{1, 16, 16, 4}, Shape{5, 5, 7, 3}, Shape{2, 33, 31, 4}, Shape{1, 1, 1, 1}}) {
      Shape state = picture, mask = picture;
      state.set(1, picture[1] * slots);
      mask.set(3, 1);
      const CaseInput latents = activations(DType::f32, picture);
      cases.push_back(make_case(BlendMask{slots}, {activations(DType::f32, state, 10), latents, latents, masks(mask),
                                                   step_rows(picture[0], slots)}));
    }
}

void add_full_size(std::vector<Case>& cases, DType d) {
  constexpr auto kFull = CaseSize::full;
  const Shape image{2, 128, 128, 320};
  cases.push_back(make_case(Activate{Activation::silu}, {activations(d, image)}, kFull));
  cases.push_back(make_case(Add{}, {activations(d, image), activations(d, image)}, kFull));
  cases.push_back(make_case(Add{}, {activations(d, image), activations(d, {2, 1, 1, 320})}, kFull));
  cases.push_back(make_case(GeluGate{}, {activations(d, {2, 1024, 10240})}, kFull));
  cases.push_back(make_case(GeluGate{}, {activations(d, {2, 4096, 5120})}, kFull));
  cases.push_back(make_case(Concat{}, {activations(d, {2, 128, 128, 640}), activations(d, image)}, kFull));
  cases.push_back(make_case(Upsample2x{}, {activations(d, {2, 64, 64, 640})}, kFull));
  cases.push_back(make_case(Upsample2x{}, {activations(d, {1, 512, 512, 256})}, kFull));
  cases.push_back(make_case(Embed{}, {ids({2, 77}, 49408), parameters(d, {49408, 768})}, kFull));
  cases.push_back(
      make_case(Embed{true}, {ids({1, 77}, 49483), parameters(d, {49408, 1280}), activations(d, {75, 1280})}, kFull));
  cases.push_back(make_case(ToRgb8{}, {activations(d, {1, 1024, 1024, 3}, 0.8)}, kFull));
}

}  // namespace

void add_elementwise_cases(std::vector<Case>& cases) {
  for (DType dtype : kFloats) {
    add_maps(cases, dtype);
    add_sums(cases, dtype);
    add_moves(cases, dtype);
    add_sampling(cases, dtype);
  }
  add_blending(cases);
  for (const TimestepEmbedding& op : {TimestepEmbedding{320, true, 0}, TimestepEmbedding{256, true, 0},
                                      TimestepEmbedding{2, false, 0}, TimestepEmbedding{34, false, 1}})
    for (const Shape& shape : {Shape{1, 1}, Shape{2, 6}, Shape{3, 5}})
      cases.push_back(make_case(op, {activations(DType::f32, shape, 200, 500)}));
  for (DType d : {DType::bf16, DType::f32}) add_full_size(cases, d);
}

}  // namespace tempera
