#include "backend/cpu/onednn/plan.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "backend/cpu/amx.h"
#include "base/error.h"
#include "base/parallel.h"

namespace tempera::onednn {
namespace {

using Tag = dnnl::memory::format_tag;

// One request of SDXL has about 90 plans, of some 10 KB each.
constexpr std::ptrdiff_t kMostUnused = 128;

dnnl::memory::data_type type_of(DType type) {
  return type == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

void append_activation(dnnl::post_ops& ops, Activation activation) {
  switch (activation) {
    case Activation::none:
      return;
    case Activation::silu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_swish, 1.0f);
    case Activation::gelu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_gelu_erf, 0.0f);
    case Activation::quick_gelu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_swish, 1.702f);
    case Activation::relu:
      return append_eltwise(ops, dnnl::algorithm::eltwise_relu, 0.0f);
    case Activation::tanh:
      return append_eltwise(ops, dnnl::algorithm::eltwise_tanh, 0.0f);
  }
}

enum class Fusing : uint8_t { binary, sum };

dnnl::primitive_attr attributes(Activation activation, Operand operand, const Desc& dst, Fusing fusing) {
  dnnl::post_ops ops;
  append_activation(ops, activation);
  if (operand == Operand::accumulate || (operand == Operand::add && fusing == Fusing::sum)) ops.append_sum(1.0f);
  if (operand == Operand::add && fusing == Fusing::binary) ops.append_binary(dnnl::algorithm::binary_add, dst);
  if (operand == Operand::multiply) ops.append_binary(dnnl::algorithm::binary_mul, dst);
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

// oneDNN's reference loops are correct but hundreds of times slower. They must never be selected silently.
bool is_reference(std::string_view implementation) {
  return implementation.starts_with("ref") || implementation.find(":ref") != std::string_view::npos;
}

template <class Primitive, class Descriptor>
std::shared_ptr<Plan> make_plan(const Descriptor& descriptor) {
  auto plan = std::make_shared<Plan>();
  plan->src = descriptor.src_desc();
  plan->weights = descriptor.weights_desc();
  plan->dst = descriptor.dst_desc();
  plan->scratch = descriptor.scratchpad_desc().get_size();
  plan->implementation = descriptor.impl_info_str();
  plan->create = [descriptor]() -> dnnl::primitive { return Primitive(descriptor); };
  return plan;
}

// The best way to fuse the operand. A sum needs a copy of the operand in dst first. A binary post-op needs none, but
// some kernels do not support it. So it is used unless it changes the implementation.
template <class Primitive, class Describe>
std::shared_ptr<Plan> fuse(Operand operand, Activation activation, const Describe& describe) {
  if (operand == Operand::accumulate) return make_plan<Primitive>(describe(Fusing::sum));
  std::shared_ptr<Plan> plan;
  if (operand == Operand::add) {
    try {
      plan = make_plan<Primitive>(describe(Fusing::sum));
      plan->accumulates = true;
    } catch (const dnnl::error&) {  // not supported after this activation: only the binary form remains
    }
  }
  try {
    auto binary = make_plan<Primitive>(describe(Fusing::binary));
    if (!plan || binary->implementation == plan->implementation) plan = std::move(binary);
  } catch (const dnnl::error&) {
    if (!plan) throw;
  }
  plan->operand = operand;
  plan->operand_argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(activation == Activation::none ? 0 : 1) | DNNL_ARG_SRC_1;
  return plan;
}

template <class Make>
std::shared_ptr<Plan> translate(DType dtype, const Make& make) {
  try {
    auto plan = make();
    if (dtype == DType::bf16 && is_reference(plan->implementation))
      fail(ErrorCode::unavailable, "oneDNN has no fast bf16 kernel for this problem on this machine");
    return plan;
  } catch (const dnnl::error& e) {
    fail(ErrorCode::unavailable, "oneDNN does not run this problem on this machine: {}", e.what());
  }
}

}  // namespace

namespace {

// oneDNN uses AMX if the processor reports it and the system allows it, which is not enough (has_amx). The user's
// ONEDNN_MAX_CPU_ISA has priority. This must be the first call of oneDNN.
dnnl::engine start() {
  if (instruction_limit() == nullptr && !has_amx()) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_bf16);
  return {dnnl::engine::kind::cpu, 0};
}

}  // namespace

Library::Library() try : engine_(start()), stream_(engine_) {
} catch (const dnnl::error& e) {
  fail(ErrorCode::unavailable, "oneDNN does not start on this machine: {}", e.what());
}

std::shared_ptr<const Plan> Library::plan(const MatmulSpec& s) {
  const std::scoped_lock lock(mutex_);
  auto& cached = matmuls_[s];
  if (cached) return cached;
  const auto type = type_of(s.dtype);
  const Desc src({s.m, s.k}, type, Tag::ab), dst({s.m, s.n}, type_of(s.to), Tag::ab);
  const Desc bias = s.bias ? Desc({1, s.n}, dnnl::memory::data_type::f32, Tag::ab) : Desc();
  const auto with_weights = [&](Tag tag) {
    const Desc weights({s.k, s.n}, type, tag);
    return fuse<dnnl::matmul>(s.operand, s.activation, [&](Fusing fusing) {
      return matmul_descriptor(engine_, src, weights, bias, dst, attributes(s.activation, s.operand, dst, fusing));
    });
  };
  const auto plan = translate(s.dtype, [&] {
    auto made = with_weights(Tag::any);
    // Without blocks (AVX2) the checkpoint's own order is as fast or faster, and packing it is a copy.
    return blocking_of(made->weights).blocks.empty() ? with_weights(Tag::ba) : made;
  });
  plan->bias = bias;
  plan->layout = weight_layout(blocking_of(plan->weights), s.dtype, {.out = 1, .in = 0}, {s.n, s.k, 1});
  TEMPERA_ASSERT(plan->layout.bytes() == plan->weights.get_size());
  return cached = plan;
}

std::shared_ptr<const Plan> Library::plan(const ConvSpec& s) {
  const std::scoped_lock lock(mutex_);
  auto& cached = convolutions_[s];
  if (cached) return cached;
  const auto type = type_of(s.dtype);
  const Tag images = s.blocked ? Tag::nChw8c : Tag::nhwc;
  const Desc src({s.batch, s.channels, s.height, s.width}, type, images);
  const Desc dst({s.batch, s.out, s.out_height(), s.out_width()}, type_of(s.to), images);
  const Desc weights({s.out, s.channels, s.kernel, s.kernel}, type, Tag::any);
  const Desc bias = s.bias ? Desc({s.out}, dnnl::memory::data_type::f32, Tag::a) : Desc();
  const auto plan = translate(s.dtype, [&] {
    return fuse<dnnl::convolution_forward>(s.operand, s.activation, [&](Fusing fusing) {
      return convolution_descriptor(engine_, src, weights, bias, dst, {s.stride, s.stride}, {s.pad_top, s.pad_left},
                                    {s.pad_bottom, s.pad_right}, attributes(s.activation, s.operand, dst, fusing));
    });
  });
  plan->bias = bias;
  plan->layout = weight_layout(blocking_of(plan->weights), s.dtype, {.out = 0, .in = 1, .y = 2, .x = 3},
                               {s.out, s.channels, s.kernel});
  TEMPERA_ASSERT(plan->layout.bytes() == plan->weights.get_size());
  return cached = plan;
}

Prepared& Library::prepared(const Plan& plan) {
  const std::scoped_lock lock(mutex_);
  if (plan.prepared) return *plan.prepared;
  const auto unused = [](const auto& cached) { return cached.second.use_count() == 1; };
  if (std::ranges::count_if(matmuls_, unused) + std::ranges::count_if(convolutions_, unused) > kMostUnused) {
    std::erase_if(matmuls_, unused);
    std::erase_if(convolutions_, unused);
  }
  Prepared& made = plan.prepared.emplace();
  made.primitive = plan.create();
  const auto put = [&](int index, const Desc& desc) {
    if (desc.get_size() > 0) made.memories.emplace(index, dnnl::memory(desc, engine_, nullptr));
  };
  put(DNNL_ARG_SRC, plan.src);
  put(DNNL_ARG_WEIGHTS, plan.weights);
  put(DNNL_ARG_DST, plan.dst);
  put(DNNL_ARG_BIAS, plan.bias);
  if (plan.operand != Operand::none && !plan.accumulates) put(plan.operand_argument, plan.dst);
  put(DNNL_ARG_SCRATCHPAD, {{static_cast<int64_t>(plan.scratch)}, dnnl::memory::data_type::u8, Tag::a});
  return made;
}

Call::Call(Library& library, std::shared_ptr<const Plan> plan, const CallArgs& args)
    : plan_(std::move(plan)), prepared_(library.prepared(*plan_)), stream_(library.stream()), args_(args) {}

void Call::run() {
  if (plan_->accumulates) {
    const auto bytes = static_cast<int64_t>(plan_->dst.get_size());
    const auto copy = [&](int64_t begin, int64_t end) {
      std::memcpy(static_cast<std::byte*>(args_.dst) + begin, static_cast<const std::byte*>(args_.operand) + begin,
                  static_cast<size_t>(end - begin));
    };
    parallel_for(bytes, 65536, std::cref(copy));
  }
  const auto move = [&](int index, const void* p) {
    const auto it = prepared_.memories.find(index);
    // oneDNN has one memory class for both inputs and outputs.
    if (it != prepared_.memories.end()) it->second.set_data_handle(const_cast<void*>(p));
  };
  move(DNNL_ARG_SRC, args_.src);
  move(DNNL_ARG_WEIGHTS, args_.weights);
  move(DNNL_ARG_DST, args_.dst);
  move(DNNL_ARG_BIAS, args_.bias);
  move(plan_->operand_argument, args_.operand);
  move(DNNL_ARG_SCRATCHPAD, args_.scratch);
  prepared_.primitive.execute(stream_, prepared_.memories);
}

}  // namespace tempera::onednn
