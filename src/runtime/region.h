// Device memory that executables use in turns. At its beginning is scratch memory (activations, workspaces, streamed
// parameters), at its end are results of a prologue for later runs. The owner decides which executables share a region.
// The region records whose values are in it, so that no executable reads values that another one overwrote.
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

  // Makes the region at least `bytes` large. If that needs another buffer, the contents are lost, and executables must
  // be loaded again before they run. Throws Error(out_of_memory); the region is then empty.
  void reserve(size_t bytes);
  // As reserve(), but also gives back the memory above `bytes`.
  void resize(size_t bytes);
  // Gives all memory back; the region is then empty.
  void release();

  std::byte* data() const { return buffer_ ? buffer_->data() : nullptr; }
  size_t size() const { return buffer_ ? buffer_->size() : 0; }
  // The address of the last `bytes` bytes, aligned for the backend.
  std::byte* end(size_t bytes) const;

  // Called before the executable uses the first bytes of the region, as many as its scratch memory has. The executable
  // before it leaves (Executable::leave), and kept results that reach into these bytes are lost.
  void enter(Executable& next);
  // Called before the executable writes its kept results to the end of the region. All other kept results there are
  // lost.
  void keep(Executable& keeper) { keeper_ = &keeper; }
  // Whether its kept results are still there.
  bool keeps(const Executable& keeper) const { return keeper_ == &keeper; }
  void lose_kept() { keeper_ = nullptr; }
  // Called when an executable is destroyed.
  void forget(const Executable& user);

 private:
  Backend& backend_;
  std::unique_ptr<Buffer> buffer_;
  Executable* user_ = nullptr;
  Executable* keeper_ = nullptr;
};

}  // namespace tempera
