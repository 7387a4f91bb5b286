// Convolutions and matrix products: every layer of SDXL scaled down, every epilogue, and the real sizes.
#include <cmath>

#include "conformance/cases.h"

namespace tempera {
namespace {

// A matrix whose products with normal vectors of `depth` numbers are approximately normal.
CaseInput matrix(DType dtype, Shape shape, int64_t depth) {
  return parameters(dtype, shape, 1 / std::sqrt(static_cast<double>(depth)));
}

void conv(std::vector<Case>& cases, DType dtype, Shape x, int64_t out, Conv2d op, CaseSize size = CaseSize::quick) {
  std::vector<CaseInput> inputs{activations(dtype, x),
                                matrix(dtype, {out, x[3], op.kernel, op.kernel}, x[3] * op.kernel * op.kernel)};
  if (op.bias) inputs.push_back(parameters(DType::f32, {out}));
  if (op.residual) {
    const TensorDesc descs[] = {inputs[0].desc, inputs[1].desc};
    const TensorDesc result = infer(Conv2d{op.kernel, op.stride, op.pad_before, op.pad_after, false}, descs);
    inputs.push_back(activations(op.to.value_or(dtype), result.shape));
  }
  cases.push_back(make_case(op, inputs, size));
}

// A 1 x 1 convolution over x and a tail of `tail` channels.
void conv_with_tail(std::vector<Case>& cases, DType dtype, Shape x, int64_t tail, int64_t out, DType to,
                    bool bias = true, bool residual = false, CaseSize size = CaseSize::quick) {
  Conv2d op{1, 1, 0, 0, bias, Activation::none, residual};
  if (to != dtype) op.to = to;
  op.tail = true;
  Shape rest = x, result = x;
  rest.set(3, tail);
  result.set(3, out);
  std::vector<CaseInput> inputs{activations(dtype, x), matrix(dtype, {out, x[3] + tail, 1, 1}, x[3] + tail)};
  if (bias) inputs.push_back(parameters(DType::f32, {out}));
  inputs.push_back(activations(dtype, rest));
  if (residual) inputs.push_back(activations(to, result));
  cases.push_back(make_case(op, inputs, size));
}

void linear(std::vector<Case>& cases, DType dtype, Shape x, int64_t out, Linear op = {},
            CaseSize size = CaseSize::quick) {
  std::vector<CaseInput> inputs{activations(dtype, x), matrix(dtype, {out, x[-1]}, x[-1])};
  if (op.bias) inputs.push_back(parameters(DType::f32, {out}));
  if (op.residual) {
    Shape residual = x;
    residual.set(-1, out);
    inputs.push_back(activations(op.to.value_or(dtype), residual));
  }
  cases.push_back(make_case(op, inputs, size));
}

void geglu(std::vector<Case>& cases, DType dtype, Shape x, int64_t out, bool bias = true,
           CaseSize size = CaseSize::quick) {
  std::vector<CaseInput> inputs{activations(dtype, x), matrix(dtype, {2 * out, x[-1]}, x[-1])};
  if (bias) inputs.push_back(parameters(DType::f32, {2 * out}));
  cases.push_back(make_case(GegluLinear{bias}, inputs, size));
}

constexpr Conv2d kOne{1, 1, 0, 0};
constexpr Conv2d kThree{3, 1, 1, 1};
constexpr Conv2d kHalve{3, 2, 1, 1};                                // the UNet's downsampler
constexpr Conv2d kHalveAfter{3, 2, 0, 1};                           // the VAE encoder's: padded below and to the right
constexpr Conv2d kReluNoBias{3, 1, 1, 1, false, Activation::relu};  // of the tiny autoencoder

Conv2d with_residual(Conv2d op) {
  op.residual = true;
  return op;
}

void add_quick_convolutions(std::vector<Case>& cases, DType d) {
  // SDXL's layers on small pictures.
  conv(cases, d, {2, 12, 12, 4}, 320, kThree);
  conv(cases, d, {2, 12, 12, 9}, 320, kThree);  // of inpainting models
  conv(cases, d, {1, 6, 6, 320}, 320, with_residual(kThree));
  conv(cases, d, {2, 3, 3, 640}, 320, kThree);
  conv(cases, d, {2, 6, 6, 320}, 160, kHalve);
  conv(cases, d, {2, 8, 8, 640}, 320, kOne);
  conv(cases, d, {1, 16, 16, 320}, 4, kThree);
  conv(cases, d, {1, 5, 5, 512}, 256, kThree);
  conv(cases, d, {1, 16, 16, 128}, 3, kThree);
  // Many channels on both sides and wide pictures, where a change of the layout pays.
  conv(cases, d, {1, 3, 130, 128}, 128, with_residual(kThree));
  conv(cases, d, {1, 6, 5, 256}, 264, kHalve);
  conv(cases, d, {1, 7, 6, 264}, 256, with_residual(kHalveAfter));
  conv(cases, d, {2, 4, 3, 256}, 256, kReluNoBias);
  conv(cases, d, {1, 9, 9, 128}, 64, kHalveAfter);
  conv(cases, d, {1, 8, 8, 4}, 4, kOne);
  conv(cases, d, {1, 12, 12, 64}, 64, kReluNoBias);
  conv(cases, d, {1, 9, 7, 64}, 64, {3, 2, 1, 1, false});
  // Ones, primes, ragged tails, odd channel counts.
  conv(cases, d, {1, 1, 1, 1}, 1, kOne);
  conv(cases, d, {1, 1, 1, 1}, 1, kThree);
  conv(cases, d, {3, 1, 7, 5}, 3, kThree);
  conv(cases, d, {2, 13, 1, 17}, 19, kThree);
  conv(cases, d, {1, 11, 13, 31}, 37, kThree);
  conv(cases, d, {3, 5, 7, 33}, 65, kOne);
  conv(cases, d, {1, 7, 5, 3}, 130, kThree);
  conv(cases, d, {2, 7, 5, 12}, 20, kHalve);
  conv(cases, d, {2, 8, 6, 12}, 20, kHalveAfter);
  conv(cases, d, {1, 5, 6, 9}, 7, {3, 1, 0, 0});
  conv(cases, d, {1, 6, 7, 5}, 8, {5, 1, 2, 2});
  conv(cases, d, {1, 6, 7, 5}, 8, {2, 2, 0, 0});
  conv(cases, d, {1, 7, 7, 6}, 10, {4, 1, 2, 1, false});
  // Few channels on one side: sizes next to the edge of every tile, no padding, incomplete steps of channels.
  conv(cases, d, {2, 5, 77, 4}, 328, kThree);
  conv(cases, d, {1, 3, 67, 2}, 8, with_residual(kThree));
  conv(cases, d, {1, 6, 65, 4}, 40, {3, 1, 0, 0});
  conv(cases, d, {2, 5, 77, 9}, 328, kThree);
  conv(cases, d, {1, 4, 66, 5}, 8, with_residual(kThree));
  conv(cases, d, {3, 1, 1, 1}, 24, kThree);
  conv(cases, d, {2, 17, 33, 40}, 4, kThree);
  conv(cases, d, {1, 19, 16, 8}, 1, with_residual(kThree));
  conv(cases, d, {1, 18, 19, 72}, 2, {3, 1, 0, 0, false});
  conv(cases, d, {3, 1, 1, 32}, 4, kThree);
  conv(cases, d, {1, 3, 5, 576}, 3, kThree);
  conv(cases, d, {1, 3, 5, 584}, 3, kThree);
  conv(cases, d, {1, 9, 7, 16}, 4, kHalve);
  conv(cases, d, {1, 6, 7, 16}, 3, {5, 1, 2, 2});
  // Pictures large enough for Winograd transforms to pay, but not multiples of the tiles of four by four.
  conv(cases, d, {1, 33, 35, 48}, 64, kThree);
  conv(cases, d, {2, 65, 67, 16}, 32, with_residual(kThree));
  conv(cases, d, {1, 66, 66, 32}, 32, {3, 1, 0, 0});
  conv(cases, d, {1, 64, 66, 32}, 32, {3, 1, 2, 0, false, Activation::silu, true});
  for (Activation a : kActivations)
    for (bool bias : {false, true})
      for (bool residual : {false, true}) conv(cases, d, {2, 5, 7, 12}, 20, {3, 1, 1, 1, bias, a, residual});
  if (d == DType::f32) return;
  // A residual stream with a wider dtype than the products.
  for (bool residual : {false, true}) {
    conv(cases, d, {1, 6, 6, 320}, 320, {3, 1, 1, 1, true, Activation::none, residual, DType::f32});
    conv(cases, d, {2, 7, 5, 12}, 20, {3, 2, 1, 1, true, Activation::silu, residual, DType::f32});
    conv(cases, d, {1, 65, 66, 32}, 32, {3, 1, 1, 1, true, Activation::none, residual, DType::f32});
    conv(cases, d, {1, 6, 6, 9}, 40, {3, 1, 1, 1, true, Activation::none, residual, DType::f32});
    conv(cases, d, {1, 6, 6, 4}, 40, {3, 1, 1, 1, true, Activation::none, residual, DType::f32});
    conv(cases, d, {1, 6, 6, 40}, 4, {3, 1, 1, 1, true, Activation::none, residual, DType::f32});
    conv(cases, d, {1, 5, 7, 9}, 7, {1, 1, 0, 0, false, Activation::none, residual, DType::f32});
  }
}

// SDXL's skip connections on small pictures; then widths that end within stages, vectors and blocks.
void add_tails(std::vector<Case>& cases, DType d) {
  for (DType to : {d, DType::f32}) {
    conv_with_tail(cases, d, {2, 6, 6, 640}, 320, 320, to);
    conv_with_tail(cases, d, {2, 6, 6, 320}, 320, 320, to);
    conv_with_tail(cases, d, {1, 4, 4, 1280}, 640, 1280, to);
    for (bool bias : {false, true})
      for (bool residual : {false, true}) {
        conv_with_tail(cases, d, {1, 9, 7, 40}, 24, 48, to, bias, residual);
        conv_with_tail(cases, d, {2, 5, 7, 12}, 20, 24, to, bias, residual);
        conv_with_tail(cases, d, {3, 5, 7, 33}, 31, 65, to, bias, residual);
      }
    conv_with_tail(cases, d, {1, 1, 1, 1}, 1, 1, to);
    conv_with_tail(cases, d, {1, 3, 3, 5}, 130, 3, to);
    conv_with_tail(cases, d, {1, 13, 1, 130}, 3, 19, to);
    if (d == DType::f32) return;
  }
}

void add_quick_products(std::vector<Case>& cases, DType d) {
  linear(cases, d, {2, 64, 320}, 320, {true, Activation::none, true});
  linear(cases, d, {1, 77, 768}, 192);
  linear(cases, d, {2, 16, 640}, 1920, {false});
  linear(cases, d, {1, 77, 512}, 320, {false});
  linear(cases, d, {1, 20, 192}, 768, {true, Activation::quick_gelu});
  linear(cases, d, {1, 20, 320}, 1280, {true, Activation::gelu});
  linear(cases, d, {1, 20, 1280}, 320, {true, Activation::none, true});
  linear(cases, d, {2, 320}, 1280, {true, Activation::silu});
  linear(cases, d, {2, 2816}, 320, {true, Activation::silu});
  linear(cases, d, {1, 1280}, 1280, {false});
  linear(cases, d, {1, 8, 8, 128}, 128);
  linear(cases, d, {1}, 1, {false});
  linear(cases, d, {1, 1}, 1);
  linear(cases, d, {13, 17}, 19);
  linear(cases, d, {3, 5, 31}, 1);
  linear(cases, d, {3, 1, 1}, 67);
  linear(cases, d, {2, 3, 5, 33}, 65);
  linear(cases, d, {129, 63}, 127);
  for (Activation a : kActivations)
    for (bool bias : {false, true})
      for (bool residual : {false, true}) linear(cases, d, {2, 9, 40}, 24, {bias, a, residual});
  if (d != DType::f32)
    for (bool residual : {false, true}) {
      linear(cases, d, {2, 64, 320}, 320, {true, Activation::none, residual, DType::f32});
      linear(cases, d, {3, 7, 13}, 11, {false, Activation::silu, residual, DType::f32});
    }
  geglu(cases, d, {2, 16, 320}, 640);
  geglu(cases, d, {1, 64, 64}, 256);
  geglu(cases, d, {1, 10, 640}, 320);
  geglu(cases, d, {2, 7, 24}, 40, false);
  geglu(cases, d, {3, 7, 13}, 11);
  geglu(cases, d, {1, 1}, 1);
  geglu(cases, d, {17, 65}, 33);
}

void add_full_size(std::vector<Case>& cases) {
  constexpr auto kFull = CaseSize::full, kHuge = CaseSize::huge;
  constexpr DType b = DType::bf16, f = DType::f32;
  // The UNet at 1024 x 1024: 128 x 128 latents, widths 320, 640, 1280.
  conv(cases, b, {2, 128, 128, 4}, 320, kThree, kFull);
  conv(cases, b, {1, 128, 128, 320}, 320, with_residual(kThree), kFull);
  conv(cases, b, {1, 128, 128, 320}, 320, kHalve, kFull);
  conv(cases, b, {1, 64, 64, 640}, 640, with_residual(kThree), kFull);
  conv(cases, b, {1, 32, 32, 1280}, 1280, with_residual(kThree), kFull);
  conv(cases, b, {1, 128, 128, 640}, 320, kOne, kFull);
  conv(cases, b, {2, 128, 128, 320}, 4, kThree, kFull);
  conv_with_tail(cases, b, {1, 128, 128, 640}, 320, 320, f, true, false, kFull);
  conv_with_tail(cases, DType::f16, {1, 128, 128, 320}, 320, 320, DType::f16, true, false, kFull);
  conv(cases, b, {2, 128, 128, 320}, 320, with_residual(kThree), kHuge);
  conv(cases, b, {2, 128, 128, 960}, 320, kThree, kHuge);
  conv(cases, b, {2, 64, 64, 640}, 640, with_residual(kThree), kHuge);
  conv(cases, b, {2, 64, 64, 1920}, 640, kThree, kHuge);
  conv(cases, b, {2, 32, 32, 1280}, 1280, with_residual(kThree), kHuge);
  conv(cases, b, {2, 32, 32, 2560}, 1280, kThree, kHuge);
  linear(cases, b, {2, 4096, 640}, 640, {true, Activation::none, true}, kFull);
  linear(cases, b, {2, 4096, 640}, 1920, {false}, kFull);
  linear(cases, b, {2, 1024, 1280}, 1280, {true, Activation::none, true}, kFull);
  linear(cases, b, {2, 1024, 1280}, 3840, {false}, kFull);
  linear(cases, b, {2, 77, 2048}, 2560, {false}, kFull);
  linear(cases, b, {1, 1024, 5120}, 1280, {true, Activation::none, true}, kFull);
  linear(cases, b, {2, 1024, 5120}, 1280, {true, Activation::none, true}, kHuge);
  geglu(cases, b, {1, 1024, 1280}, 5120, true, kFull);
  geglu(cases, b, {2, 1024, 1280}, 5120, true, kHuge);
  geglu(cases, b, {2, 4096, 640}, 2560, true, kHuge);
  // The text encoders.
  linear(cases, b, {2, 77, 768}, 3072, {true, Activation::quick_gelu}, kFull);
  linear(cases, b, {2, 77, 1280}, 5120, {true, Activation::gelu}, kFull);
  // The VAE decoder, in f32, as models require (force_upcast), and in bf16.
  for (DType d : {f, b}) {
    conv(cases, d, {1, 64, 64, 512}, 512, with_residual(kThree), kFull);
    conv(cases, d, {1, 512, 512, 128}, 3, kThree, kFull);
    conv(cases, d, {1, 128, 128, 512}, 512, with_residual(kThree), kHuge);
    conv(cases, d, {1, 256, 256, 512}, 512, with_residual(kThree), kHuge);
    conv(cases, d, {1, 512, 512, 512}, 256, kThree, kHuge);
    conv(cases, d, {1, 512, 512, 256}, 256, with_residual(kThree), kHuge);
    conv(cases, d, {1, 1024, 1024, 256}, 128, kThree, kHuge);
    conv(cases, d, {1, 1024, 1024, 128}, 128, with_residual(kThree), kHuge);
    conv(cases, d, {1, 1024, 1024, 128}, 3, kThree, kHuge);
  }
}

}  // namespace

void add_matmul_cases(std::vector<Case>& cases) {
  for (DType dtype : kFloats) {
    add_quick_convolutions(cases, dtype);
    add_tails(cases, dtype);
    add_quick_products(cases, dtype);
  }
  add_full_size(cases);
}

}  // namespace tempera
