// Checks a kernel against its row: its result against the reference, every promise about memory, and determinism.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/problems.h"

namespace tempera {

// The results of the reference backend, cached by case.
class Oracle {
 public:
  Oracle();
  const std::vector<std::byte>& output(const Case& c);
  // The known result, or else `result`, which a row of the reference backend has computed.
  const std::vector<std::byte>& output_or(const Case& c, const std::vector<std::byte>& result);
  void forget() { outputs_.clear(); }

 private:
  std::unique_ptr<Backend> backend_;
  std::map<std::string, std::vector<std::byte>> outputs_;
};

// |result - expected|| / ||expected|| (the norm itself where expected is zero), and other faults: values that are
// not finite where the reference's are, or single elements with a large error. For u8, in levels.
struct Difference {
  double relative = 0;
  std::string fault;
};
Difference compare(const TensorDesc& desc, std::span<const std::byte> result, std::span<const std::byte> expected,
                   double tolerance);

struct Verdict {
  std::optional<std::string> refused;  // the reason why the row does not run the problem
  std::vector<std::string> faults;     // empty: the kernel conforms
  double relative = 0;                 // relative difference from the reference
};

class Harness {
 public:
  // Both must outlive it. is_reference: the backend is that of the oracle, so results are not computed twice.
  Harness(Backend& backend, Oracle& oracle, bool is_reference = false);

  // Runs the problem twice, with a new binding each time, and in place if the row allows it. The output is poisoned
  // before each run, and every buffer is fenced: inputs, output, workspace and packed weights have exactly the promised
  // sizes.
  Verdict check(const Kernel& kernel, const Case& c);
  // For rows with Numerics::rounding and fused problems: the separate nodes must give the same bytes on the same
  // backend. They are run by the same row if it supports them. Returns "" if the bytes are equal or the check does not
  // apply.
  std::string check_decomposed(const Kernel& kernel, const Case& c);

 private:
  class Run;

  Backend& backend_;
  Oracle& oracle_;
  bool is_reference_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Backend> host_;  // for the memory of packed weights
  std::unique_ptr<Queue> host_queue_;
  // The packed bytes of each weight in each layout. Rows with the same layout name share memory, so they must agree.
  std::map<std::string, uint64_t> packed_;
};

}  // namespace tempera
