// The beginning of the loops of a job: encoded pictures, noise, and latents of the loop before.
#include <utility>

#include "base/error.h"
#include "image/resample.h"
#include "pipeline/decode_stage.h"
#include "pipeline/encode_stage.h"
#include "pipeline/engine.h"

namespace tempera {

std::vector<float> Engine::Impl::encode_picture(const StageSpec& stage, std::span<const float> picture,
                                                const CheckCancelled& check) {
  const std::vector<Executable*> programs = executables_of(stage);
  for (Executable* program : programs) program->load(check);
  return tempera::encode(stage.tiles, programs, picture, check, [](size_t, size_t) {});
}

std::vector<uint8_t> Engine::Impl::decode_latent(const StageSpec& stage, const std::byte* latent,
                                                 const CheckCancelled& check,
                                                 const std::function<void(size_t, size_t)>& on_tile) {
  const std::vector<Executable*> programs = executables_of(stage);
  for (Executable* program : programs) program->load(check);
  return tempera::decode(stage.tiles, programs, latent, check, on_tile);
}

std::vector<StartPicture> Engine::Impl::start_pictures(const ResolvedRequest& r, const Prepared& prepared,
                                                       StartFiles files, const CheckCancelled& check) {
  std::vector<StartPicture> starts;
  for (std::vector<float>& latents : files.latents.pictures) {
    StartPicture& start = starts.emplace_back();
    start.latents = std::move(latents);
    start.files.push_back(
        {"latents", std::filesystem::path(r.request.latents).filename().string(), files.latents.sha256});
  }
  const Loop& first = r.loops.front();
  for (size_t i = 0; i < files.pictures.init.size(); ++i) {
    const std::vector<InputPicture>& masks = files.pictures.mask;
    const InputPicture* mask = masks.empty() ? nullptr : &masks[i % masks.size()];
    StartPicture& start = starts.emplace_back();
    start.prepared = prepare_picture(r.request, files.pictures.init[i], mask, first.width, first.height);
    start.files.push_back({"init_image", files.pictures.init[i].label, files.pictures.init[i].sha256});
    if (mask != nullptr && !mask->label.empty()) start.files.push_back({"mask_image", mask->label, mask->sha256});
    const StageSpec* stage = prepared.fitted.stages.encoder(0, prepared.shape);
    if (first.reads_picture()) start.encoded = encode_picture(*stage, encoder_input(start.prepared, false), check);
    if (first.reads_mask) start.encoded_masked = encode_picture(*stage, encoder_input(start.prepared, true), check);
  }
  return starts;
}

void Engine::Impl::begin_first(Job::Impl& job) {
  const std::optional<TinyVaeConfig>& tiny = job.prepared().fitted.options.decoder.tiny;
  const ResolvedRequest& r = job.request();
  const Loop& first = r.loops.front();
  std::vector<PictureNoise> noise;
  std::vector<PictureStart> starts;
  for (int i = 0; i < job.images(); ++i) {
    const size_t files = job.starts.size();
    noise.push_back(job.noise(job.seed(i), 0));
    std::optional<PictureNoise> sampler;
    const bool masked = first.reads_mask || first.blending != Blending::none;
    const uint64_t seed = sample_seed(r.request, i, files);
    if (masked && seed != job.seed(i)) sampler.emplace(job.noise(seed, 0));
    const StartPicture* from = files == 0 ? nullptr : &job.starts[static_cast<size_t>(i) % files];
    starts.push_back(first_start(r, facts_.config.vae, tiny ? &*tiny : nullptr, from,
                                 {noise.back(), sampler ? &*sampler : nullptr}));
  }
  for (StartPicture& start : job.starts)
    start.encoded = start.encoded_masked = start.latents = {};  // they are in the states now
  job.begin(0, std::move(noise), std::move(starts));
}

// The latents of the decoded, enlarged and encoded picture.
std::vector<float> Engine::Impl::redrawn(Job::Impl& job, int image, PictureNoise& noise, const CheckCancelled& check) {
  const Prepared& prepared = job.prepared();
  const Stages& stages = prepared.fitted.stages;
  const Loop &before = job.request().loops[job.loop()], &loop = job.request().loops[job.loop() + 1];
  Image8 picture{
      before.width, before.height,
      decode_latent(*stages.decoder(job.loop(), prepared.shape), job.latent(image), check, [](size_t, size_t) {})};
  PreparedPicture large{resample(picture, loop.width, loop.height, Resampling::lanczos), {}};
  const std::vector<float> encoded =
      encode_picture(*stages.encoder(job.loop() + 1, prepared.shape), encoder_input(large, false), check);
  const std::optional<TinyVaeConfig>& tiny = prepared.fitted.options.decoder.tiny;
  return to_latents(facts_.config.vae, tiny ? &*tiny : nullptr, encoded, noise, true);
}

void Engine::Impl::begin_next(Job::Impl& job, const CheckCancelled& check) {
  Job::Impl* const jobs[] = {&job};
  use_for(jobs, nullptr);
  const size_t next = job.loop() + 1;
  const Loop& loop = job.request().loops[next];
  std::vector<PictureNoise> noise;
  std::vector<PictureStart> starts(static_cast<size_t>(job.images()));
  for (int i = 0; i < job.images(); ++i) {
    noise.push_back(job.noise(job.seed(i), next));
    if (!loop.enlarges) continue;
    std::vector<float> latents =
        job.prepared().shape.redraws
            ? redrawn(job, i, noise.back(), check)
            : enlarged(job.request().request, job.request().loops[next - 1], loop, job.latents_by_pixel(i));
    starts[static_cast<size_t>(i)].state = with_noise(loop, std::move(latents), noise.back().values());
  }
  job.begin(next, std::move(noise), std::move(starts));
}

// The text draws this picture alone.
std::string Engine::Impl::settings_text(const Job::Impl& job, int image, const EngineOptions& engine,
                                        const TileGrid& tiles) const {
  if (job.starts.empty()) return parameters_text(job.request(), engine, model(), tiles, job.seed(image));
  ResolvedRequest r = job.request();
  const size_t number = static_cast<size_t>(image) % job.starts.size();
  if (!r.request.latents.empty()) r.request.latents_index = r.request.latents_index.value_or(static_cast<int>(number));
  const Loop& first = r.loops.front();
  const uint64_t sampled = sample_seed(r.request, image, job.starts.size());
  const bool masked = first.reads_mask || first.blending != Blending::none;
  r.request.sample_seed = masked && sampled != job.seed(image) ? std::optional(sampled) : std::nullopt;
  return parameters_text(r, engine, model(), tiles, job.seed(image), job.starts[number].files);
}

void Engine::Impl::place_in_input(const Job::Impl& job, int image, Image& drawn) const {
  if (job.starts.empty()) return;
  const StartPicture& start = job.starts[static_cast<size_t>(image) % job.starts.size()];
  if (start.prepared.image.rgb.empty()) return;
  drawn.composite = true;
  if (start.prepared.mask.empty()) return;
  Image8 finished =
      finish_picture(job.request().request, start.prepared, {drawn.width, drawn.height, std::move(drawn.rgb)});
  drawn.width = finished.width;
  drawn.height = finished.height;
  drawn.rgb = std::move(finished.rgb);
}

}  // namespace tempera
