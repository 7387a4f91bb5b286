#include "runtime/region.h"

#include <utility>

#include "runtime/executable.h"

namespace tempera {

void Region::reserve(size_t bytes) {
  if (buffer_ && buffer_->size() >= bytes) return;
  resize(bytes);
}

void Region::resize(size_t bytes) {
  if (buffer_ && buffer_->size() == bytes) return;
  if (Executable* const last = std::exchange(user_, nullptr)) last->leave();
  buffer_.reset();  // both would not fit where memory is short
  buffer_ = backend_.allocate(bytes);
}

void Region::enter(Executable& next) {
  if (user_ == &next) return;
  if (user_ != nullptr) user_->leave();
  user_ = &next;
}

void Region::forget(const Executable& user) {
  if (user_ == &user) user_ = nullptr;
}

}  // namespace tempera
