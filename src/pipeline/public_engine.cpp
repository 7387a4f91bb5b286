// Engine and Job as include/tempera/engine.h has them.
#include "base/error.h"
#include "pipeline/engine.h"

namespace tempera {

Job::Job(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Job::~Job() = default;
Job::Job(Job&&) noexcept = default;
Job& Job::operator=(Job&&) noexcept = default;

const Plan& Job::plan() const {
  return impl_->plan;
}
int Job::images() const {
  return impl_->images();
}
size_t Job::step() const {
  return impl_->step();
}
size_t Job::steps() const {
  return impl_->steps();
}
bool Job::finished() const {
  return impl_->finished();
}
bool Job::failed() const {
  return impl_->failed();
}
std::vector<float> Job::latents(int image) const {
  return impl_->latents(image);
}
void Job::set_latents(int image, std::span<const float> values) {
  impl_->set_latents(image, values);
}
const std::vector<Stage>& Job::stages() const {
  return impl_->times;
}

Engine::Engine(EngineOptions options, LogSink log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(log))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Job Engine::start(const Request& request, const Callbacks& callbacks) {
  return Job(impl_->start(request, callbacks, nullptr));
}

void Engine::step(std::span<Job* const> jobs, const Callbacks& callbacks) {
  std::vector<Job::Impl*> list;
  for (Job* job : jobs) list.push_back(job->impl_.get());
  impl_->step(list, Impl::cancelled_check(callbacks));
}

Image Engine::decode(Job& job, int image, const Callbacks& callbacks) {
  return impl_->decode(*job.impl_, image, callbacks);
}

EncodeResult Engine::encode(const Request& request, const std::filesystem::path& out, const Callbacks& callbacks) {
  return impl_->encode(request, out, callbacks);
}

std::optional<double> Engine::joules() {
  return impl_->joules();
}

size_t Engine::measured_peak_bytes() const {
  return impl_->measured_peak();
}

size_t Engine::bytes_packed() const {
  return impl_->parameters().bytes_packed();
}

}  // namespace tempera
