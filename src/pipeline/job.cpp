#include "pipeline/job.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {

Batch Prepared::batch() const {
  const int images = fitted.options.images_per_forward;
  return {images,
          shape.guidance ? images : 0,
          shape.slots,
          fitted.options.two_passes,
          shape.guidance_rescale,
          shape.thresholding,
          shape.blend};
}

Job::Impl::Impl(std::shared_ptr<const Prepared> prepared, ResolvedRequest request, PromptEmbeddings embeddings,
                Backend& backend, Queue& queue)
    : prepared_(std::move(prepared)),
      request_(std::move(request)),
      embeddings_(std::move(embeddings)),
      backend_(backend),
      queue_(queue) {
  const TensorDesc& noise = prepared_->denoise().programs.front().input("noise").ref.desc;
  const auto channels = static_cast<int>(noise.shape[3]);
  const auto pixels = static_cast<size_t>(noise.shape[1] * noise.shape[2]);
  const size_t latent = latent_bytes(prepared_->denoise().programs.front());
  const size_t one = latent * static_cast<size_t>(request_.schedule.slots);
  state_ = backend_.allocate(one * static_cast<size_t>(images()));
  const Rng rng = request_.request.rng == "cuda" ? Rng::cuda : Rng::cpu;
  const std::vector<std::byte> zeros(one - latent);
  pictures_.resize(static_cast<size_t>(images()));
  for (size_t i = 0; i < pictures_.size(); ++i) {
    Picture& picture = pictures_[i];
    picture.request = &request_;
    picture.embeddings = &embeddings_;
    picture.state = state_->data() + i * one;
    picture.noise.emplace(rng, *request_.request.seed + i, channels, pixels);
    picture.noise->draw(backend_, queue_, picture.state, static_cast<float>(request_.schedule.init_noise_sigma));
    if (!zeros.empty()) backend_.upload(queue_, picture.state + latent, zeros);
  }
}

Job::Impl::~Impl() {
  for (Picture& picture : pictures_) {
    if (picture.inside == nullptr) continue;
    try {
      picture.inside->park();  // its neighbours go on
    } catch (...) {
      picture.inside->lose();  // the device does not answer any more
    }
  }
}

// One batch of pictures after the other.
std::vector<Picture*> Job::Impl::next() {
  const auto each = static_cast<size_t>(prepared_->fitted.options.images_per_forward);
  size_t first = 0;
  while (pictures_[first].finished()) first += each;
  std::vector<Picture*> batch;
  for (size_t i = first; i < std::min(first + each, pictures_.size()); ++i) batch.push_back(&pictures_[i]);
  return batch;
}

size_t Job::Impl::step() const {
  const auto each = static_cast<size_t>(prepared_->fitted.options.images_per_forward);
  size_t done = 0;
  for (size_t i = 0; i < pictures_.size(); i += each) done += pictures_[i].position;
  return done;
}

size_t Job::Impl::steps() const {
  const auto each = static_cast<size_t>(prepared_->fitted.options.images_per_forward);
  return (pictures_.size() + each - 1) / each * request_.schedule.evaluations.size();
}

bool Job::Impl::finished() const {
  return pictures_.back().finished();
}

bool Job::Impl::failed() const {
  return std::ranges::any_of(pictures_, &Picture::lost);
}

Picture& Job::Impl::picture(int image) {
  if (image < 0 || image >= images())
    fail(ErrorCode::invalid_argument, "there is no picture {}: the request has {}, counted from 0", image, images());
  Picture& picture = pictures_[static_cast<size_t>(image)];
  if (picture.lost)
    fail(ErrorCode::invalid_argument, "the job was stopped in the middle of a step and has no latents: start it again");
  return picture;
}

size_t Job::Impl::latent_elements() const {
  return latent_bytes(prepared_->denoise().programs.front()) / sizeof(float);
}

std::byte* Job::Impl::latent(int image) {
  const Picture& from = picture(image);
  if (from.inside != nullptr) from.inside->save(from);
  return from.state;
}

std::vector<float> Job::Impl::latents(int image) {
  const std::byte* const from = latent(image);
  std::vector<float> values(latent_elements()), planar(values.size());
  backend_.download(queue_, std::as_writable_bytes(std::span(values)), from);
  queue_.synchronize();
  const auto pixels = static_cast<size_t>(request_.latent_width) * static_cast<size_t>(request_.latent_height);
  const size_t channels = values.size() / pixels;
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) planar[c * pixels + p] = values[p * channels + c];
  return planar;
}

void Job::Impl::set_latents(int image, std::span<const float> planar) {
  const Picture& to = picture(image);
  if (planar.size() != latent_elements())
    fail(ErrorCode::invalid_argument, "{} values are given for the latents of a picture, which are {}: give (C, H, W)",
         planar.size(), latent_elements());
  if (to.inside != nullptr) to.inside->park();  // it comes back with the new values
  const auto pixels = static_cast<size_t>(request_.latent_width) * static_cast<size_t>(request_.latent_height);
  const size_t channels = planar.size() / pixels;
  std::vector<float> values(planar.size());
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) values[p * channels + c] = planar[c * pixels + p];
  backend_.upload(queue_, to.state, std::as_bytes(std::span(values)));
  queue_.synchronize();
}

}  // namespace tempera
