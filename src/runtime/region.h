// Device memory that executables use in turns: scratch memory (activations, workspaces, travelling parameters) from its
// beginning, and at its end what a prologue computed for later runs. The owner decides who shares a region; the region
// knows whose values are in it, so that nobody reads what another one overwrote.
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

  // Makes the region `bytes` large or larger. When that needs another buffer, the contents are lost and executables
  // must be loaded again before they run. Throws Error(out_of_memory); then the region is empty.
  void reserve(size_t bytes);
  // As reserve(), but gives back what is more than `bytes`.
  void resize(size_t bytes);
  // Gives the memory back; the region is empty.
  void release();

  std::byte* data() const { return buffer_ ? buffer_->data() : nullptr; }
  size_t size() const { return buffer_ ? buffer_->size() : 0; }
  // Where the last `bytes` bytes begin, aligned for the backend.
  std::byte* end(size_t bytes) const;

  // The executable is about to use the first bytes of the region, as many as its scratch memory has. The one before
  // leaves (Executable::leave), and what reaches into these bytes from the end is lost.
  void enter(Executable& next);
  // The executable is about to write what it keeps to the end of the region. Nothing else is kept there then.
  void keep(Executable& keeper) { keeper_ = &keeper; }
  // Whether it is still there.
  bool keeps(const Executable& keeper) const { return keeper_ == &keeper; }
  void lose_kept() { keeper_ = nullptr; }
  // An executable ends.
  void forget(const Executable& user);

 private:
  Backend& backend_;
  std::unique_ptr<Buffer> buffer_;
  Executable* user_ = nullptr;
  Executable* keeper_ = nullptr;
};

}  // namespace tempera
