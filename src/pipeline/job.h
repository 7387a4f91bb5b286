// A request in progress: the resolved request, its stages, and its pictures in one of its loops.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "pipeline/fit.h"
#include "pipeline/forward.h"
#include "pipeline/loop_start.h"
#include "tempera/engine.h"

namespace tempera {

// Stages of a shape of request, shared by the jobs of that shape.
struct Prepared {
  RequestShape shape;
  ProgramOptions asked;  // before any budget
  Fitted fitted;

  const StageSpec& denoise(size_t loop) const { return fitted.stages.denoise(loop); }
  Batch batch(size_t loop) const;  // of its denoising stage
};
inline std::shared_ptr<const Stages> stages_of(const std::shared_ptr<const Prepared>& prepared) {
  return {prepared, &prepared->fitted.stages};
}

// The embeddings of a request for the UNet of its model, and for that of the refiner if it has one.
struct JobEmbeddings {
  PromptEmbeddings model, refiner;
};

class Job::Impl {
 public:
  // No loop has begun.
  Impl(std::shared_ptr<const Prepared> prepared, ResolvedRequest request, JobEmbeddings embeddings, Backend& backend,
       Queue& queue);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const Prepared& prepared() const { return *prepared_; }
  const std::shared_ptr<const Prepared>& prepared_pointer() const { return prepared_; }
  const ResolvedRequest& request() const { return request_; }
  int images() const { return request_.request.num_images_per_prompt; }

  // The seed of a picture.
  uint64_t seed(int image) const { return *request_.request.seed + static_cast<uint64_t>(image); }
  // A new generator, as each loop of a picture has one.
  PictureNoise noise(uint64_t seed, size_t loop) const;
  // Begins a loop, with the generator and the start of each picture.
  void begin(size_t loop, std::vector<PictureNoise> noise, std::vector<PictureStart> starts);
  size_t loop() const { return loop_; }
  const LoopShape& loop_shape() const { return prepared_->shape.loops[loop_]; }
  size_t groups() const;  // forwards for one evaluation of all pictures
  bool loop_finished() const;
  // Whether the next step belongs to another loop, which has not begun.
  bool at_border() const { return loop_finished() && !finished(); }

  // The pictures of the next step. The loop must not be finished.
  std::vector<Picture*> next();
  size_t step() const;
  size_t steps() const;
  bool finished() const;
  bool failed() const;

  // The address of the current latent of a picture, (h, w, C) f32.
  std::byte* latent(int image);
  std::vector<float> latents(int image);
  std::vector<float> latents_by_pixel(int image);  // (h, w, C)
  void set_latents(int image, std::span<const float> values);

  Plan plan;
  std::vector<Stage> times;
  std::vector<StartPicture> starts = {};  // with their pixels, for the finished pictures
  bool warned = false;                    // of values that are not finite

 private:
  Picture& picture(int image);
  void set_mask_inputs(std::vector<Picture>& pictures, const std::vector<PictureStart>& starts);
  size_t latent_elements() const;
  size_t latent_pixels() const {
    const Loop& loop = request_.loops[loop_];
    return static_cast<size_t>(loop.latent_width) * static_cast<size_t>(loop.latent_height);
  }

  std::shared_ptr<const Prepared> prepared_;
  ResolvedRequest request_;
  JobEmbeddings embeddings_;
  Backend& backend_;
  Queue& queue_;
  size_t loop_ = 0;
  std::unique_ptr<Buffer> state_;  // of all pictures in this loop, (images, slots, h, w, C) f32
  std::unique_ptr<Buffer> masks_;  // of all pictures: their rows of mask_inputs (stages.h)
  std::vector<Picture> pictures_;
};

}  // namespace tempera
