// Device memory with one role, which executables use in turns: scratch (activations, workspaces, travelling parameters),
// kept (results of a prologue) or io (inputs and outputs). The owner decides who shares it; a region knows which
// executable used it last, so that nobody reads what another one overwrote.
#pragma once

#include <cstddef>
#include <memory>

#include "backend/backend.h"

namespace tempera {

class Executable;

class Region {
 public:
  explicit Region(Backend& backend) : backend_(backend) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Makes the region `bytes` large or larger. When that needs another buffer, the contents are lost and executables must
  // be loaded again before they run. Throws Error(out_of_memory); then the region is empty.
  void reserve(size_t bytes);
  // As reserve(), but gives back what is more than `bytes`.
  void resize(size_t bytes);

  std::byte* data() const { return buffer_ ? buffer_->data() : nullptr; }
  size_t size() const { return buffer_ ? buffer_->size() : 0; }

  // The executable whose values are here; nullptr after the buffer changed.
  const Executable* user() const { return user_; }
  // From now on the values are those of `next`. The one before leaves first (Executable::leave).
  void enter(Executable& next);
  // Called by an executable that ends.
  void forget(const Executable& user);

 private:
  Backend& backend_;
  std::unique_ptr<Buffer> buffer_;
  Executable* user_ = nullptr;
};

}  // namespace tempera
