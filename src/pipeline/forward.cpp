#include "pipeline/forward.h"

#include <algorithm>

#include "base/error.h"
#include "pipeline/stages.h"

namespace tempera {
namespace {

// The row of a picture: scale, guidance, thresholding, blending, and its sampler's update in a program with `slots`
// slots. What the sampler does not have stays 0.
void fill_step(const Picture& picture, int slots, std::span<float> row) {
  const ResolvedRequest& r = *picture.request;
  const Evaluation& e = r.schedule.evaluations[picture.position];
  std::ranges::fill(row, 0.0f);
  row[StepLayout::kInputScale] = static_cast<float>(e.input_scale);
  row[StepLayout::kGuidanceScale] = static_cast<float>(*r.request.guidance_scale);
  if (r.guidance_rescale) row[StepLayout::kGuidanceRescale] = static_cast<float>(r.request.guidance_rescale);
  if (e.threshold) {
    row[StepLayout::kThresholdSlot] = static_cast<float>(e.threshold->slot);
    row[StepLayout::kThresholdOfSample] = static_cast<float>(e.threshold->of_sample);
    row[StepLayout::kThresholdOfPrediction] = static_cast<float>(e.threshold->of_prediction);
    row[StepLayout::kThresholdRatio] = static_cast<float>(e.threshold->ratio);
    row[StepLayout::kThresholdMax] = static_cast<float>(e.threshold->max);
  }
  const BlendStep blend = blend_step(r.blending, r.schedule, picture.position);
  row[StepLayout::kBlendThreshold] = static_cast<float>(blend.threshold);
  row[StepLayout::kBlendSignal] = static_cast<float>(blend.signal);
  row[StepLayout::kBlendNoise] = static_cast<float>(blend.noise);
  const auto own = static_cast<size_t>(r.schedule.slots), all = static_cast<size_t>(slots);
  TEMPERA_ASSERT(e.update.size() == own * (own + 2) && own <= all);
  for (size_t k = 0; k < own; ++k) {
    float* const to = &row[StepLayout::kUpdate + k * (all + 2)];
    const double* const from = &e.update[k * (own + 2)];
    for (size_t j = 0; j < own; ++j) to[j] = static_cast<float>(from[j]);
    to[all] = static_cast<float>(from[own]);          // of the prediction
    to[all + 1] = static_cast<float>(from[own + 1]);  // of the noise
  }
}

}  // namespace

PictureNoise::PictureNoise(Rng rng, uint64_t seed, int channels, size_t pixels)
    : channels_(static_cast<size_t>(channels)), pixels_(pixels), generator_(make_generator(rng, seed)) {
  if (rng == Rng::cuda) counters_.emplace(seed);
}

void PictureNoise::draw(Backend& backend, Queue& queue, std::byte* to, float scale) {
  const size_t elements = channels_ * pixels_;
  if (counters_) {
    const PhiloxDraw draw = counters_->next(elements);
    if (backend.draw_normal(queue, to,
                            {draw.seed, draw.counter, draw.threads, static_cast<int64_t>(channels_),
                             static_cast<int64_t>(pixels_), scale}))
      return;
    counters_.reset();
  }
  planar_.resize(elements);
  values_.resize(elements);
  generator_->normal(planar_);
  for (size_t c = 0; c < channels_; ++c)
    for (size_t p = 0; p < pixels_; ++p) values_[p * channels_ + c] = planar_[c * pixels_ + p] * scale;
  backend.upload(queue, to, std::as_bytes(std::span(values_)));
}

Forward::Forward(Executable& executable, const Batch& batch, Backend& backend, Queue& queue)
    : executable_(executable), batch_(batch), backend_(backend), queue_(queue) {
  const auto images = static_cast<size_t>(batch.images);
  embeds_guidance_ =
      std::ranges::find(executable.program().inputs, "guidance", &IoSlot::name) != executable.program().inputs.end();
  timesteps_.resize(images);
  steps_.resize(images * static_cast<size_t>(StepLayout::length(batch.slots)));
}

Forward::~Forward() {
  for (Picture* picture : pictures_) picture->inside = nullptr;
}

// (N, slots h, w, C): picture after picture.
std::byte* Forward::state_of(size_t picture) const {
  const size_t one = static_cast<size_t>(batch_.slots) * latent_bytes(executable_.program());
  return executable_.input_address("state") + picture * one;
}

void Forward::save(const Picture& picture) {
  const auto i = static_cast<size_t>(std::ranges::find(pictures_, &picture) - pictures_.begin());
  const size_t bytes = static_cast<size_t>(picture.slots()) * latent_bytes(executable_.program());
  backend_.copy(queue_, picture.state, {state_of(i), 1, bytes, bytes});
}

void Forward::park() {
  for (const Picture* picture : pictures_) save(*picture);
  for (Picture* picture : pictures_) picture->inside = nullptr;
  pictures_.clear();
}

void Forward::lose() {
  for (Picture* picture : pictures_) {
    picture->inside = nullptr;
    picture->lost = true;
  }
  pictures_.clear();
}

void Forward::take_in(std::span<Picture* const> pictures) {
  park();
  for (Picture* picture : pictures)
    if (picture->inside != nullptr) picture->inside->park();
  TEMPERA_ASSERT(std::cmp_equal(pictures.size(), batch_.images));
  const size_t latent = latent_bytes(executable_.program());
  const std::vector<std::byte> zeros(static_cast<size_t>(batch_.slots) * latent);
  pictures_.assign(pictures.begin(), pictures.end());
  conditions_written_ = false;
  for (Picture* picture : pictures_) picture->inside = this;
  for (size_t i = 0; i < pictures.size(); ++i) {
    Picture& picture = *pictures[i];
    TEMPERA_ASSERT(picture.guided() == std::cmp_less(i, batch_.guided) && picture.slots() <= batch_.slots);
    const size_t bytes = static_cast<size_t>(picture.slots()) * latent;
    backend_.copy(queue_, state_of(i), {picture.state, 1, bytes, bytes});
    // Coefficients of 0 need finite values.
    if (bytes < zeros.size()) backend_.upload(queue_, state_of(i) + bytes, std::span(zeros).subspan(bytes));
    backend_.upload(queue_, executable_.input_address("noise") + i * latent, std::span(zeros).first(latent));
    for (const IoSlot& slot : mask_inputs(executable_.program())) write_mask_input(picture, slot, i);
  }
}

// Without a mask, a threshold of 0 keeps the sample if the mask is not negative, and coefficients need finite values.
void Forward::write_mask_input(const Picture& picture, const IoSlot& slot, size_t row) {
  const size_t bytes = slot.ref.desc.bytes() / static_cast<size_t>(batch_.images);
  std::byte* const to = executable_.input_address(slot.name) + row * bytes;
  const auto own = picture.mask_inputs.find(slot.name);
  if (own != picture.mask_inputs.end()) {
    backend_.copy(queue_, to, {own->second, 1, bytes, bytes});
  } else {
    backend_.upload(queue_, to, std::vector<std::byte>(bytes));
  }
}

// Rows [negative of the guided..., positive of all...], to where each belongs.
void Forward::write_conditions() {
  const Conditioning conditioning = make_conditioning(pictures_);
  const auto write = [&](const std::string& name, std::span<const float> rows) {
    if (batch_.two_passes && batch_.guided > 0) {
      executable_.write_input("negative_" + name, rows.first(rows.size() / 2));
      rows = rows.last(rows.size() / 2);
    }
    executable_.write_input(name, rows);
  };
  write("encoder_hidden_states", conditioning.encoder_hidden_states);
  write("text_embeds", conditioning.text_embeds);
  write("time_ids", conditioning.time_ids);
  if (embeds_guidance_) write("guidance", conditioning.guidance);
  conditions_written_ = true;
}

void Forward::write_step() {
  const auto length = static_cast<size_t>(StepLayout::length(batch_.slots));
  for (size_t i = 0; i < pictures_.size(); ++i) {
    timesteps_[i] = static_cast<float>(pictures_[i]->request->schedule.evaluations[pictures_[i]->position].timestep);
    fill_step(*pictures_[i], batch_.slots, std::span(steps_).subspan(i * length, length));
  }
  executable_.write_input("timestep", timesteps_);
  executable_.write_input("step", steps_);
}

// A card is still computing the evaluation before, so drawing on the host costs no time there.
void Forward::draw_noise() {
  const size_t latent = latent_bytes(executable_.program());
  for (size_t i = 0; i < pictures_.size(); ++i) {
    Picture& picture = *pictures_[i];
    if (picture.request->schedule.evaluations[picture.position].uses_noise)
      picture.noise->draw(backend_, queue_, executable_.input_address("noise") + i * latent, 1);
  }
}

void Forward::step(std::span<Picture* const> pictures, const CheckCancelled& check) {
  try {
    if (!std::ranges::equal(pictures, pictures_)) take_in(pictures);
    const bool new_conditions = !conditions_written_;
    if (new_conditions) write_conditions();
    if (new_conditions || !executable_.kept()) executable_.run_prologue(check);
    write_step();
    draw_noise();
    executable_.run(check);
  } catch (...) {
    lose();
    throw;
  }
  for (Picture* picture : pictures_) ++picture->position;
}

}  // namespace tempera
