// The list of problems by family of ops, and the common code of the families.
#pragma once

#include "conformance/problems.h"

namespace tempera {

void add_matmul_cases(std::vector<Case>& cases);  // conv2d, linear, geglu_linear
void add_norm_cases(std::vector<Case>& cases);
void add_attention_cases(std::vector<Case>& cases);
void add_elementwise_cases(std::vector<Case>& cases);  // everything else

inline constexpr DType kFloats[] = {DType::f32, DType::bf16, DType::f16};
inline constexpr Activation kActivations[] = {Activation::none,       Activation::silu, Activation::gelu,
                                              Activation::quick_gelu, Activation::relu, Activation::tanh};

inline CaseInput activations(DType dtype, Shape shape, double deviation = 1, double mean = 0) {
  return {{dtype, shape}, {Fill::Kind::normal, mean, deviation}};
}
inline CaseInput parameters(DType dtype, Shape shape, double deviation = 1, double mean = 0) {
  return {{dtype, shape}, {Fill::Kind::normal, mean, deviation, 0, true}};
}
inline CaseInput ids(Shape shape, int64_t limit) {
  return {{DType::i32, shape}, {Fill::Kind::ids, 0, 1, limit}};
}
inline CaseInput step_rows(int64_t pictures, int slots) {
  return {{DType::f32, {pictures, StepLayout::length(slots)}}, {Fill::Kind::step}};
}
// Eighths, so that some are equal to a threshold of 0.5.
inline CaseInput masks(Shape shape) {
  return {{DType::f32, shape}, {Fill::Kind::uniform}};
}

}  // namespace tempera
