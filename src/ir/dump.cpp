// A graph as text, one node a line: "%7 = linear{bias residual}(%4, %5, %6) f16[2x4096x640]". Tests compare such text,
// and messages of errors name ops by it. Each op has an overload of params(), so that an op without one does not
// compile; defaults are left out.
#include "base/error.h"
#include "ir/graph.h"

namespace tempera {
namespace {

std::string epilogue(bool bias, Activation activation, bool residual) {
  std::string out;
  if (bias) out += " bias";
  if (activation != Activation::none) out += fmt::format(" {}", name(activation));
  if (residual) out += " residual";
  return out;
}

std::string to(std::optional<DType> dtype) {
  return dtype ? fmt::format(" to {}", name(*dtype)) : "";
}
std::string params(const Input& op) {
  return op.name + (op.rate == Rate::step ? " per-step" : "");
}
std::string params(const Weight& op) {
  return fmt::format("{}{}", fmt::join(op.names, " | "), op.factor == 1 ? "" : fmt::format(" times {}", op.factor));
}
std::string params(const Conv2d& op) {
  const std::string pad = op.pad_before == op.pad_after ? fmt::format("{}", op.pad_before)
                                                        : fmt::format("{}:{}", op.pad_before, op.pad_after);
  return fmt::format("{0}x{0}/{1} pad {2}{3}{4}{5}", op.kernel, op.stride, pad, op.tail ? " tail" : "",
                     epilogue(op.bias, op.activation, op.residual), to(op.to));
}
std::string trim(std::string text) {
  return text.empty() || text[0] != ' ' ? text : text.substr(1);
}
std::string params(const Linear& op) {
  return trim(epilogue(op.bias, op.activation, op.residual) + to(op.to));
}
std::string params(const GegluLinear& op) {
  return op.bias ? "bias" : "";
}
std::string params(const GeluGate&) {
  return "";
}
std::string params(const GroupNorm& op) {
  return fmt::format("{} eps {}{}{}{}{}", op.groups, op.eps, op.shift ? " shift" : "", op.tail ? " tail" : "",
                     epilogue(false, op.activation, false), to(op.to));
}
std::string params(const LayerNorm& op) {
  return fmt::format("eps {}{}", op.eps, to(op.to));
}
std::string params(const Attention& op) {
  const char* packing = op.packing == Attention::Packing::separate ? ""
                        : op.packing == Attention::Packing::qkv    ? " qkv"
                                                                   : " q_kv";
  return fmt::format("{} heads scale {}{}{}", op.heads, op.scale, op.causal ? " causal" : "", packing);
}
std::string params(const Activate& op) {
  return std::string(name(op.kind));
}
std::string params(const Add&) {
  return "";
}
std::string params(const Scale& op) {
  return fmt::format("{} + {}", fmt::join(op.factor, " "), fmt::join(op.offset, " "));
}
std::string params(const Concat&) {
  return "";
}
std::string params(const Upsample2x& op) {
  return op.odd_height ? (op.odd_width ? "odd height, odd width" : "odd height") : (op.odd_width ? "odd width" : "");
}
std::string params(const Embed& op) {
  return op.extra ? "extra" : "";
}
std::string params(const GatherRow&) {
  return "";
}
std::string params(const TimestepEmbedding& op) {
  return fmt::format("{}{} shift {}", op.dim, op.flip_sin_to_cos ? " cos first" : "", op.freq_shift);
}
std::string params(const View&) {
  return "";
}
std::string params(const Cast& op) {
  return std::string(name(op.to));
}
std::string params(const BranchRows& op) {
  return fmt::format("{} guided", op.guided);
}
std::string params(const ModelInput& op) {
  return fmt::format("{} guided {} slots", op.guided, op.slots);
}
std::string params(const Guidance& op) {
  return fmt::format("{} guided{}", op.guided, op.rescale ? " rescale" : "");
}
std::string params(const ThresholdSample& op) {
  return fmt::format("{} slots", op.slots);
}
std::string params(const SamplerUpdate& op) {
  return fmt::format("{} slots", op.slots);
}
std::string params(const BlendMask& op) {
  return fmt::format("{} slots", op.slots);
}
std::string params(const ToRgb8&) {
  return "";
}

}  // namespace

std::string to_string(const Op& op) {
  const std::string inner = std::visit([](const auto& o) { return params(o); }, op);
  return inner.empty() ? std::string(name(kind_of(op))) : fmt::format("{}{{{}}}", name(kind_of(op)), inner);
}

std::string dump(const Graph& graph) {
  std::string out = fmt::format("graph {}\n", graph.name());
  for (ValueId id = 0; id < graph.nodes().size(); ++id) {
    const Node& node = graph.node(id);
    std::string inputs;
    for (ValueId input : node.inputs) inputs += fmt::format("{}%{}", inputs.empty() ? "" : ", ", input);
    out += fmt::format("%{} = {}({}) {}\n", id, to_string(node.op), inputs, to_string(node.output));
  }
  for (const Output& output : graph.outputs())
    out += fmt::format("output {} %{}{}\n", output.name, output.value,
                       output.over_input.empty() ? "" : " over " + output.over_input);
  return out;
}

}  // namespace tempera
