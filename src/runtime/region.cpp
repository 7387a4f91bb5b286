#include "runtime/region.h"

#include "runtime/executable.h"

namespace tempera {

void Region::reserve(size_t bytes) {
  if (buffer_ && buffer_->size() >= bytes) return;
  resize(bytes);
}

void Region::resize(size_t bytes) {
  if (buffer_ && buffer_->size() == bytes) return;
  release();  // the old and the new buffer together may not fit
  buffer_ = backend_.allocate(bytes);
}

void Region::release() {
  keeper_ = nullptr;
  if (user_ != nullptr) user_->leave();
  user_ = nullptr;
  buffer_.reset();
}

std::byte* Region::end(size_t bytes) const {
  const size_t alignment = backend_.target().alignment;
  return data() + (size() - bytes) / alignment * alignment;
}

void Region::enter(Executable& next) {
  if (user_ != &next) {
    if (user_ != nullptr) user_->leave();
    user_ = &next;
  }
  if (keeper_ == nullptr || keeper_ == &next) return;
  const std::byte* const kept = end(keeper_->program().memory.kept);
  if (data() + next.program().memory.scratch() > kept) keeper_ = nullptr;
}

void Region::forget(const Executable& user) {
  if (user_ == &user) user_ = nullptr;
  if (keeper_ == &user) keeper_ = nullptr;
}

}  // namespace tempera
