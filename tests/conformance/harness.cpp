#include "conformance/harness.h"

#include <cmath>
#include <exception>
#include <memory>

#include "backend/reference/reference.h"
#include "base/error.h"
#include "base/half.h"
#include "conformance/decompose.h"
#include "conformance/fenced.h"
#include "conformance/interpreter.h"
#include "support/counting_reader.h"

namespace tempera {
namespace {

constexpr std::byte kPoison{0xff}, kOtherPoison{0x5a};

uint64_t checksum(std::span<const std::byte> bytes) {
  uint64_t h = 0xcbf29ce484222325u;
  for (std::byte b : bytes) h = (h ^ static_cast<uint8_t>(b)) * 0x100000001b3u;
  return h;
}

std::vector<float> numbers(const TensorDesc& desc, std::span<const std::byte> bytes) {
  std::vector<float> out(static_cast<size_t>(desc.shape.elements()));
  convert(bytes.data(), desc.dtype, out.data(), DType::f32, out.size());
  return out;
}

double tolerance(const KernelInfo& info, DType dtype) {
  return dtype == DType::f32 ? info.tolerance_f32 : info.tolerance_half;
}

void pack(const Kernel& kernel, const Problem& problem, int input, std::span<const WeightPart> parts,
          std::byte* destination) {
  if (kernel.pack) return kernel.pack(problem, input, parts, destination);
  pack_plain(problem.inputs[static_cast<size_t>(input)].dtype, parts, destination);
}

}  // namespace

Oracle::Oracle() : backend_(make_reference_backend()) {}

const std::vector<std::byte>& Oracle::output(const Case& c) {
  std::vector<std::byte>& out = outputs_[c.name];
  if (!out.empty()) return out;
  out.resize(c.problem.output.bytes());
  std::vector<std::vector<std::byte>> inputs;
  Binding binding{{}, out.data()};
  for (size_t i = 0; i < c.fills.size(); ++i) {
    if (c.fills[i].weight) {
      inputs.emplace_back(c.input(i).bytes());
      pack_plain(c.input(i).dtype, source_weight(c, i).view(), inputs.back().data());
    } else {
      inputs.push_back(input_bytes(c, i));
    }
    binding.inputs.push_back(inputs.back().data());
  }
  const auto queue = backend_->make_queue();
  for (const Kernel& kernel : backend_->kernels())
    if (kernel.info.op == kind_of(c.problem.op)) kernel.bind(c.problem, binding)(*queue);
  return out;
}

const std::vector<std::byte>& Oracle::output_or(const Case& c, const std::vector<std::byte>& result) {
  return outputs_.try_emplace(c.name, result).first->second;
}

Difference compare(const TensorDesc& desc, std::span<const std::byte> result, std::span<const std::byte> expected,
                   double tolerance) {
  const std::vector<float> a = numbers(desc, result), b = numbers(desc, expected);
  double difference = 0, norm = 0;
  Difference out;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    if (!std::isfinite(y) && (x == y || (std::isnan(x) && std::isnan(y)))) continue;
    if (!std::isfinite(x) && out.fault.empty()) out.fault = fmt::format("element {} is {} instead of {}", i, x, y);
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  out.relative = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  if (!out.fault.empty()) return out;
  // A wrong element changes the norm of a large tensor very little, while rounding errors are distributed evenly.
  const double typical = std::sqrt(norm / static_cast<double>(std::max<size_t>(1, a.size())));
  for (size_t i = 0; i < a.size() && out.fault.empty(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    const double bound = desc.dtype == DType::u8 ? 1 : 20 * tolerance * (typical + std::abs(y));
    if (std::abs(x - y) > bound) out.fault = fmt::format("element {} is {} instead of {}", i, x, y);
  }
  return out;
}

// The buffers of one problem.
class Harness::Run {
 public:
  Run(Harness& harness, const Kernel& kernel, const Case& c)
      : harness_(harness),
        kernel_(kernel),
        c_(c),
        output_(harness.backend_, *harness.queue_, c.problem.output.bytes()),
        workspace_(harness.backend_, *harness.queue_, kernel.info.workspace(c.problem)) {
    for (size_t i = 0; i < c.fills.size(); ++i) {
      contents_.push_back(c.fills[i].weight ? packed(i) : input_bytes(c, i));
      inputs_.push_back(std::make_unique<Fenced>(harness.backend_, *harness.queue_, contents_[i].size()));
      inputs_[i]->write(contents_[i]);
    }
    workspace_.poison(kPoison);
  }

  Verdict verdict() {
    Verdict v;
    Launch first = bind(output_.data());
    const std::vector<std::byte> result = run(first, kPoison);
    Oracle& oracle = harness_.oracle_;
    const std::vector<std::byte>& expected = harness_.is_reference_ ? oracle.output_or(c_, result) : oracle.output(c_);
    const DType dtype = c_.problem.output.dtype;
    const double allowed = tolerance(kernel_.info, dtype);
    const Difference d = compare(c_.problem.output, result, expected, allowed);
    v.relative = d.relative;
    if (!d.fault.empty()) fault(d.fault);
    if (!(d.relative <= allowed)) fault(fmt::format("differs by {:.3g}, more than {:.3g}", d.relative, allowed));
    if (kernel_.info.numerics == Numerics::bitwise && result != expected) fault("moves data but changes it");
    if (run(first, kOtherPoison) != result) fault("gives another result the second time, or leaves output unwritten");
    Launch second = bind(output_.data());
    if (run(second, kPoison) != result) fault("gives another result when bound anew");
    check_memory(0);
    const TensorDesc &x = c_.input(0), &y = c_.problem.output;
    if (kernel_.info.in_place && !c_.fills[0].weight && x.shape == y.shape && x.bytes() == y.bytes()) {
      Launch over = bind(inputs_[0]->data());
      over(*harness_.queue_);
      harness_.queue_->synchronize();
      if (inputs_[0]->read() != result) fault("gives another result in place");
      check_memory(1);
    }
    v.faults = std::move(faults_);
    return v;
  }

 private:
  void fault(std::string text) { faults_.push_back(std::move(text)); }

  Launch bind(std::byte* output) {
    Binding binding{{}, output, workspace_.data()};
    for (const auto& input : inputs_) binding.inputs.push_back(input->data());
    return kernel_.bind(c_.problem, binding);
  }

  std::vector<std::byte> run(Launch& launch, std::byte poison) {
    output_.poison(poison);
    launch(*harness_.queue_);
    harness_.queue_->synchronize();
    return output_.read();
  }

  // Weight i in the format of the kernel, from fenced host memory.
  std::vector<std::byte> packed(size_t i) {
    const int index = static_cast<int>(i);
    const KernelInfo::Packed promise = kernel_.info.packed(c_.problem, index);
    const SourceWeight source = source_weight(c_, i);
    Fenced memory(*harness_.host_, *harness_.host_queue_, promise.bytes);
    memory.poison(std::byte{0});
    std::vector<std::shared_ptr<const CountingReader>> counters;
    pack(kernel_, c_.problem, index, counted(source.view(), counters), memory.data());
    for (const auto& counter : counters)
      if (const std::string what = counter->fault(); !what.empty()) fault(fmt::format("of weight {}, {}", i, what));
    if (!memory.intact()) fault(fmt::format("packs weight {} beyond its {} bytes", i, promise.bytes));
    std::vector<std::byte> bytes = memory.read();
    const auto [it, added] = harness_.packed_.try_emplace(promise.layout + " " + source.name, checksum(bytes));
    if (!added && it->second != checksum(bytes))
      fault(fmt::format("packs weight {} unlike another user of the layout '{}'", i, promise.layout));
    return bytes;
  }

  void check_memory(size_t first_input) {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i]->intact()) fault(fmt::format("writes outside input {}", i));
      if (i >= first_input && inputs_[i]->read() != contents_[i]) fault(fmt::format("changes input {}", i));
    }
    if (!output_.intact()) fault("writes outside the output");
    if (!workspace_.intact()) fault("writes outside the workspace");
  }

  Harness& harness_;
  const Kernel& kernel_;
  const Case& c_;
  Fenced output_, workspace_;
  std::vector<std::vector<std::byte>> contents_;
  std::vector<std::unique_ptr<Fenced>> inputs_;
  std::vector<std::string> faults_;
};

Harness::Harness(Backend& backend, Oracle& oracle, bool is_reference)
    : backend_(backend),
      oracle_(oracle),
      is_reference_(is_reference),
      queue_(backend.make_queue()),
      host_(make_reference_backend()),
      host_queue_(host_->make_queue()) {}

Verdict Harness::check(const Kernel& kernel, const Case& c) {
  try {
    if (kernel.info.refuse)
      if (const auto reason = kernel.info.refuse(c.problem)) return {reason, {}, 0};
    return Run(*this, kernel, c).verdict();
  } catch (const std::exception& error) {
    return {std::nullopt, {fmt::format("throws \"{}\"", error.what())}, 0};
  }
}

std::string Harness::check_decomposed(const Kernel& kernel, const Case& c) {
  if (kernel.info.numerics != Numerics::rounding) return "";
  const auto nodes = decompose(c);
  if (!nodes) return "";
  Graph fused("fused");
  std::vector<ValueId> in;
  for (ValueId id = 0; id < c.fills.size(); ++id) in.push_back(fused.add_source(nodes->node(id).op, c.input(id)));
  fused.add_output("y", fused.add(c.problem.op, in));

  std::map<std::string, SourceWeight::Part> weights;
  for (size_t i = 0; i < c.fills.size(); ++i) {
    if (!c.fills[i].weight) continue;
    std::vector<std::byte> bytes(c.input(i).bytes());
    pack_plain(c.input(i).dtype, source_weight(c, i).view(), bytes.data());
    weights["w" + std::to_string(i)] = {c.input(i).dtype, std::move(bytes)};
  }
  const auto run = [&](const Graph& graph) {
    LowerOptions options;
    for (const Kernel& other : backend_.kernels())
      if (other.info.op == kernel.info.op && other.info.name != kernel.info.name)
        options.exclude.emplace_back(other.info.name);
    const Program program = lower(graph, backend_.target(), options);
    Interpreter interpreter(backend_, program, weights);
    for (size_t i = 0; i < c.fills.size(); ++i)
      if (!c.fills[i].weight) interpreter.set_input("x" + std::to_string(i), input_bytes(c, i));
    interpreter.run_step();
    return interpreter.output("y");
  };
  try {
    return run(fused) == run(*nodes) ? "" : "claims to round as its nodes do but differs from them";
  } catch (const Error& error) {
    // If the backend cannot run one of the separate nodes, there is no result to compare with.
    return error.code() == ErrorCode::unavailable ? "" : error.what();
  }
}

}  // namespace tempera
