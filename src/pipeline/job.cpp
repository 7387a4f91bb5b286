#include "pipeline/job.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {

Batch Prepared::batch(size_t loop) const {
  const LoopShape& p = shape.loops[loop];
  const int images = fitted.options.images_per_forward;
  return {images, p.guidance ? images : 0, p.slots, fitted.options.two_passes, p.guidance_rescale, p.thresholding,
          p.blend};
}

Job::Impl::Impl(std::shared_ptr<const Prepared> prepared, ResolvedRequest request, JobEmbeddings embeddings,
                Backend& backend, Queue& queue)
    : prepared_(std::move(prepared)),
      request_(std::move(request)),
      embeddings_(std::move(embeddings)),
      backend_(backend),
      queue_(queue) {}

// A refiner continues with the masks of the loop before.
void Job::Impl::set_mask_inputs(std::vector<Picture>& pictures, const std::vector<PictureStart>& begun_with) {
  size_t bytes = 0;
  for (const PictureStart& start : begun_with)
    for (const auto& [name, values] : start.mask_inputs) bytes += values.size() * sizeof(float);
  if (bytes > 0) masks_ = backend_.allocate(bytes);
  std::byte* to = bytes > 0 ? masks_->data() : nullptr;
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (begun_with[i].mask_inputs.empty() && !pictures_.empty()) pictures[i].mask_inputs = pictures_[i].mask_inputs;
    for (const auto& [name, values] : begun_with[i].mask_inputs) {
      backend_.upload(queue_, to, std::as_bytes(std::span(values)));
      pictures[i].mask_inputs[name] = to;
      to += values.size() * sizeof(float);
    }
  }
}

PictureNoise Job::Impl::noise(uint64_t seed, size_t loop) const {
  const Shape& latent = prepared_->denoise(loop).programs.front().input("noise").ref.desc.shape;
  return {request_.request.rng == "cuda" ? Rng::cuda : Rng::cpu, seed, static_cast<int>(latent[3]),
          static_cast<size_t>(latent[1] * latent[2])};
}

void Job::Impl::begin(size_t loop, std::vector<PictureNoise> noise, std::vector<PictureStart> begun_with) {
  const size_t latent = latent_bytes(prepared_->denoise(loop).programs.front());
  const Loop& begun = request_.loops[loop];
  const size_t one = latent * static_cast<size_t>(begun.schedule.slots);
  std::unique_ptr<Buffer> state = backend_.allocate(one * static_cast<size_t>(images()));
  const std::vector<std::byte> zeros(one - latent);
  std::vector<Picture> pictures(static_cast<size_t>(images()));
  for (size_t i = 0; i < pictures.size(); ++i) {
    Picture& picture = pictures[i];
    picture.request = &request_;
    picture.loop = &begun;
    picture.embeddings = begun.refiner ? &embeddings_.refiner : &embeddings_.model;
    picture.noise = std::move(noise[i]);
    picture.state = state->data() + i * one;
    if (!begun_with[i].state.empty()) {
      TEMPERA_ASSERT(begun_with[i].state.size() * sizeof(float) == latent);
      backend_.upload(queue_, picture.state, std::as_bytes(std::span(begun_with[i].state)));
    } else if (begun.start == LoopStart::noise) {
      picture.noise->draw(backend_, queue_, picture.state, static_cast<float>(begun.schedule.init_noise_sigma));
    } else {
      backend_.copy(queue_, picture.state, {this->latent(static_cast<int>(i)), 1, latent, latent});
    }
    if (!zeros.empty()) backend_.upload(queue_, picture.state + latent, zeros);
  }
  set_mask_inputs(pictures, begun_with);
  queue_.synchronize();  // the memory of the loop before is freed
  for (Picture& picture : pictures_)
    if (picture.inside != nullptr) picture.inside->park();
  loop_ = loop;
  pictures_ = std::move(pictures);
  state_ = std::move(state);
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

size_t Job::Impl::groups() const {
  const auto each = static_cast<size_t>(prepared_->fitted.options.images_per_forward);
  return (static_cast<size_t>(images()) + each - 1) / each;
}

size_t Job::Impl::step() const {
  const auto each = static_cast<size_t>(prepared_->fitted.options.images_per_forward);
  size_t done = 0;
  for (size_t i = 0; i < loop_; ++i) done += groups() * request_.loops[i].schedule.evaluations.size();
  for (size_t i = 0; i < pictures_.size(); i += each) done += pictures_[i].position;
  return done;
}

size_t Job::Impl::steps() const {
  size_t all = 0;
  for (const Loop& loop : request_.loops) all += groups() * loop.schedule.evaluations.size();
  return all;
}

bool Job::Impl::loop_finished() const {
  return pictures_.back().finished();
}

bool Job::Impl::finished() const {
  return loop_ + 1 == request_.loops.size() && loop_finished();
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
  return latent_bytes(prepared_->denoise(loop_).programs.front()) / sizeof(float);
}

std::byte* Job::Impl::latent(int image) {
  const Picture& from = picture(image);
  if (from.inside != nullptr) from.inside->save(from);
  return from.state;
}

std::vector<float> Job::Impl::latents_by_pixel(int image) {
  const std::byte* const from = latent(image);
  std::vector<float> values(latent_elements());
  backend_.download(queue_, std::as_writable_bytes(std::span(values)), from);
  queue_.synchronize();
  return values;
}

std::vector<float> Job::Impl::latents(int image) {
  const std::vector<float> values = latents_by_pixel(image);
  std::vector<float> planar(values.size());
  const auto pixels = latent_pixels();
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
  const auto pixels = latent_pixels();
  const size_t channels = planar.size() / pixels;
  std::vector<float> values(planar.size());
  for (size_t p = 0; p < pixels; ++p)
    for (size_t c = 0; c < channels; ++c) values[p * channels + c] = planar[c * pixels + p];
  backend_.upload(queue_, to.state, std::as_bytes(std::span(values)));
  queue_.synchronize();
}

}  // namespace tempera
