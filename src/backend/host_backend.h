// A backend in host memory whose launches run at once. Copies are plain, and queues are always empty. Such backends
// differ only in their table of kernels.
#pragma once

#include "backend/backend.h"

namespace tempera {

// Launches run on the caller's thread team before they return, so there is nothing to wait for.
class HostQueue final : public Queue {
 public:
  void synchronize() override {}
};

class HostBackend : public Backend {
 public:
  std::unique_ptr<Buffer> allocate(size_t bytes) override;
  std::unique_ptr<Queue> make_queue() override;
  void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) override;
  void download(Queue& queue, std::span<std::byte> host, const std::byte* device) override;
  void copy(Queue& queue, std::byte* to, const DeviceRows& from) override;
  std::unique_ptr<Transfers> make_transfers(Queue& queue, std::vector<Transfers::Item> items) override;
  bool host_visible() const override { return true; }
  size_t free_memory() const override;
  size_t total_memory() const override;
};

}  // namespace tempera
