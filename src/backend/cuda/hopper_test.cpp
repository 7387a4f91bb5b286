// Every variant of tempera's kernels for Hopper against sums in double, on sizes that do not fill tiles. Conformance
// runs only the fastest variant.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "backend/cuda/cuda.h"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels/hopper_attention.h"
#include "backend/cuda/kernels/hopper_product.h"
#include "base/half.h"

namespace tempera::cuda {
namespace {

// Numbers on the host, as the card has them after rounding, and on the card.
class Numbers {
 public:
  Numbers(DType type, int64_t n, unsigned seed, float scale = 1) : type_(type), values_(static_cast<size_t>(n)) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0, scale);
    for (float& v : values_) v = normal(generator);
    std::vector<std::byte> bytes(values_.size() * size_of(type));
    convert(reinterpret_cast<const std::byte*>(values_.data()), DType::f32, bytes.data(), type, values_.size());
    convert(bytes.data(), type, reinterpret_cast<std::byte*>(values_.data()), DType::f32, values_.size());
    buffer_ = allocate_device_buffer(bytes.size());
    check(cudaMemcpy(buffer_->data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  // NaN everywhere, so that missing writes are found.
  void poison() { check(cudaMemset(buffer_->data(), 0xff, buffer_->size()), "cudaMemset"); }
  std::vector<float> read() const {
    std::vector<std::byte> bytes(buffer_->size());
    check(cudaDeviceSynchronize(), "a kernel");
    check(cudaMemcpy(bytes.data(), buffer_->data(), bytes.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
    std::vector<float> values(values_.size());
    convert(bytes.data(), type_, reinterpret_cast<std::byte*>(values.data()), DType::f32, values.size());
    return values;
  }
  void* data() const { return buffer_->data(); }
  double at(int64_t i) const { return values_[static_cast<size_t>(i)]; }

 private:
  DType type_;
  std::vector<float> values_;
  std::unique_ptr<Buffer> buffer_;
};

double relative_error(const std::vector<float>& found, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

double bar(DType type) {
  return type == DType::bf16 ? 1e-2 : 2e-3;
}

class Hopper : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_missing().empty()) GTEST_SKIP() << "there is no card";
    const Card card = open_card();
    if (!is_hopper(card) || !has_hopper_code()) GTEST_SKIP() << "for compute capability 9.0";
  }
};

struct AttentionSize {
  int pictures, heads, queries, keys;
};

// q, k and v are next to each other, as in the output of their common product.
void check_attention(const AttentionSize& s, DType type) {
  constexpr int kDim = 64;
  const int64_t width = int64_t{s.heads} * kDim, q_stride = width, kv_stride = 2 * width;
  const Numbers q(type, s.pictures * s.queries * q_stride, 1, 2), kv(type, s.pictures * s.keys * kv_stride, 2);
  Numbers out(type, s.pictures * s.queries * width, 3);
  FlashArgs args{};
  args.q = q.data(), args.k = kv.data(), args.v = static_cast<uint16_t*>(kv.data()) + width, args.out = out.data();
  args.type = type;
  args.pictures = s.pictures, args.heads = s.heads, args.queries = s.queries, args.keys = s.keys, args.dim = kDim;
  args.q_stride = q_stride, args.kv_stride = kv_stride, args.out_stride = width;
  args.scale = 0.125f;
  ASSERT_TRUE(hopper_can_attend(args));

  std::vector<double> expected(static_cast<size_t>(s.pictures * s.queries * width));
  std::vector<double> scores(static_cast<size_t>(s.keys));
  for (int64_t n = 0; n < s.pictures; ++n)
    for (int64_t head = 0; head < width; head += kDim)
      for (int64_t i = 0; i < s.queries; ++i) {
        const int64_t row = (n * s.queries + i) * q_stride + head;
        double sum = 0, largest = -INFINITY;
        for (int64_t j = 0; j < s.keys; ++j) {
          double score = 0;
          for (int64_t c = 0; c < kDim; ++c) score += q.at(row + c) * kv.at((n * s.keys + j) * kv_stride + head + c);
          largest = std::max(largest, scores[static_cast<size_t>(j)] = score * args.scale);
        }
        for (double& score : scores) sum += score = std::exp(score - largest);
        for (int64_t j = 0; j < s.keys; ++j)
          for (int64_t c = 0; c < kDim; ++c)
            expected[static_cast<size_t>(row + c)] +=
                scores[static_cast<size_t>(j)] / sum * kv.at((n * s.keys + j) * kv_stride + width + head + c);
      }
  for (const HopperAttentionVariant& variant : hopper_attention_variants()) {
    out.poison();
    HopperAttention(variant, args).launch(nullptr);
    EXPECT_LE(relative_error(out.read(), expected), bar(type))
        << fmt::format("{} consumers, {} keys: {} x {} heads, {} queries, {} keys, {}", variant.consumers, variant.keys,
                       s.pictures, s.heads, s.queries, s.keys, name(type));
  }
}

TEST_F(Hopper, Attends) {
  for (const DType type : {DType::f16, DType::bf16})
    for (const AttentionSize& size : {AttentionSize{1, 2, 64, 64},
                                      {1, 1, 1, 1},
                                      {2, 3, 100, 77},
                                      {1, 1, 300, 130},
                                      {2, 2, 257, 1000},
                                      {1, 2, 513, 256},
                                      {1, 1, 64, 641},
                                      // more groups of queries than blocks
                                      {2, 10, 2000, 300},
                                      {4, 20, 640, 77}})
      check_attention(size, type);
}

double activated(Activation kind, double x) {
  switch (kind) {
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Activation::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    default:
      return x;
  }
}

void check_product(const HopperProductSpec& s) {
  const int64_t w_rows = s.gated ? 2 * s.n : s.n;
  const Numbers x(s.type, s.m * s.x_stride, 1), w(s.type, w_rows * s.k, 2, 1 / std::sqrt(static_cast<float>(s.k)));
  const Numbers tail(s.type, std::max<int64_t>(1, s.m * s.tail), 6);
  const int64_t head = s.k - s.tail;
  const Numbers bias(s.to, w_rows, 3), residual(s.to, s.m * s.out_stride, 4);
  Numbers out(s.to, s.m * s.out_stride, 5);
  std::vector<double> expected;
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < s.n; ++j) {
      const auto product = [&](int64_t row) {
        double sum = s.bias ? bias.at(row) : 0;
        for (int64_t c = 0; c < head; ++c) sum += x.at(i * s.x_stride + c) * w.at(row * s.k + c);
        for (int64_t c = 0; c < s.tail; ++c) sum += tail.at(i * s.tail + c) * w.at(row * s.k + head + c);
        return sum;
      };
      double y =
          s.gated ? product(j) * activated(Activation::gelu, product(s.n + j)) : activated(s.activation, product(j));
      if (s.residual) y += residual.at(i * s.out_stride + j);
      expected.push_back(y);
    }
  for (const HopperVariant& variant : hopper_variants()) {
    if (!hopper_can_run(variant, s)) continue;
    out.poison();
    HopperProduct(variant, s, {x.data(), tail.data(), w.data(), bias.data(), residual.data(), out.data()})
        .launch(nullptr);
    const std::vector<float> all = out.read();
    std::vector<float> found;
    for (int64_t i = 0; i < s.m; ++i)
      found.insert(found.end(), all.begin() + i * s.out_stride, all.begin() + i * s.out_stride + s.n);
    EXPECT_LE(relative_error(found, expected), s.type == DType::f32 ? 2e-6
                                               : s.to == DType::f32 ? 5e-6
                                                                    : bar(s.type))
        << fmt::format("instance {}: {} x {} x {}, the last {} apart, {} to {}", variant.instance, s.m, s.n, s.k,
                       s.tail, name(s.type), name(s.to));
  }
}

TEST_F(Hopper, Multiplies) {
  for (const auto& [type, to] : std::vector<std::pair<DType, DType>>{{DType::f16, DType::f16},
                                                                     {DType::f16, DType::f32},
                                                                     {DType::bf16, DType::bf16},
                                                                     {DType::bf16, DType::f32},
                                                                     {DType::f32, DType::f32}}) {
    for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{
             {1, 8, 8}, {77, 200, 136}, {300, 640, 320}, {129, 328, 1000}, {1100, 320, 64}, {130, 168, 2568}}) {
      HopperProductSpec plain;
      plain.m = m, plain.n = n, plain.k = k;
      plain.type = type, plain.to = to;
      plain.x_stride = k + 8, plain.out_stride = n + 16;
      check_product(plain);
      HopperProductSpec gated = plain;
      gated.gated = gated.bias = true;
      check_product(gated);
      HopperProductSpec all = plain;
      all.bias = all.residual = true;
      for (const Activation activation :
           {Activation::none, Activation::silu, Activation::gelu, Activation::quick_gelu}) {
        all.activation = activation;
        check_product(all);
      }
      // Where x ends with a stage (of 32 or 64 columns), within one, and within the first.
      for (const int64_t head : {8, 32, 64, 128, 520}) {
        if (head >= k) continue;
        HopperProductSpec apart = plain;
        apart.tail = k - head;
        apart.x_stride = head + 8;
        check_product(apart);
      }
    }
  }
}

}  // namespace
}  // namespace tempera::cuda
