// Holds a kernel to its row: its result against the reference, every promise about memory, and determinism.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/problems.h"

namespace tempera {

// What the reference backend computes, remembered by case.
class Oracle {
 public:
  Oracle();
  const std::vector<std::byte>& output(const Case& c);
  void forget() { outputs_.clear(); }

 private:
  std::unique_ptr<Backend> backend_;
  std::map<std::string, std::vector<std::byte>> outputs_;
};

// ||result - expected|| / ||expected|| (the norm itself where expected is zero), and what is wrong beyond that:
// numbers that are not finite where the reference's are, or single elements far off. For u8, levels.
struct Difference {
  double relative = 0;
  std::string fault;
};
Difference compare(const TensorDesc& desc, std::span<const std::byte> result, std::span<const std::byte> expected,
                   double tolerance);

struct Verdict {
  std::optional<std::string> refused;  // why the row does not run the problem
  std::vector<std::string> faults;     // empty: it conforms
  double relative = 0;                 // its difference from the reference
};

class Harness {
 public:
  // Both must outlive it.
  Harness(Backend& backend, Oracle& oracle);

  // Runs the problem twice, bound anew, and in place where the row allows it. The output is poisoned before each run
  // and every buffer is fenced: inputs, output, workspace and packed weights have exactly the promised sizes.
  Verdict check(const Kernel& kernel, const Case& c);
  // For rows that claim Numerics::rounding, of a fused problem: the nodes it stands for, run on the same backend by the
  // same row where it takes them, give the same bytes. Nothing when they do or the claim is not made.
  std::string check_decomposed(const Kernel& kernel, const Case& c);

 private:
  class Run;

  Backend& backend_;
  Oracle& oracle_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Backend> host_;  // for memory that weights are packed in
  std::unique_ptr<Queue> host_queue_;
  // The packed bytes of each weight in each layout: rows that use one layout name share memory, so they must agree.
  std::map<std::string, uint64_t> packed_;
};

}  // namespace tempera
