// A request in progress: the resolved request, its stages, and its pictures.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "pipeline/fit.h"
#include "pipeline/forward.h"
#include "tempera/engine.h"

namespace tempera {

// Stages of a shape of request, shared by the jobs of that shape.
struct Prepared {
  RequestShape shape;
  ProgramOptions asked;  // before any budget
  Fitted fitted;

  const StageSpec& denoise() const { return fitted.stages.only(Role::denoise); }
  Batch batch() const;  // of the denoising stage
};
inline std::shared_ptr<const Stages> stages_of(const std::shared_ptr<const Prepared>& prepared) {
  return {prepared, &prepared->fitted.stages};
}

class Job::Impl {
 public:
  Impl(std::shared_ptr<const Prepared> prepared, ResolvedRequest request, PromptEmbeddings embeddings, Backend& backend,
       Queue& queue);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const Prepared& prepared() const { return *prepared_; }
  const std::shared_ptr<const Prepared>& prepared_pointer() const { return prepared_; }
  const ResolvedRequest& request() const { return request_; }
  int images() const { return request_.request.num_images_per_prompt; }

  // The pictures of the next step. The job must not be finished.
  std::vector<Picture*> next();
  size_t step() const;
  size_t steps() const;
  bool finished() const;
  bool failed() const;

  // The address of the current latent of a picture, (h, w, C) f32.
  std::byte* latent(int image);
  std::vector<float> latents(int image);
  void set_latents(int image, std::span<const float> values);

  Plan plan;
  std::vector<Stage> times;
  bool warned = false;  // of values that are not finite

 private:
  Picture& picture(int image);
  size_t latent_elements() const;

  std::shared_ptr<const Prepared> prepared_;
  ResolvedRequest request_;
  PromptEmbeddings embeddings_;
  Backend& backend_;
  Queue& queue_;
  std::unique_ptr<Buffer> state_;  // of all pictures, (images, slots, h, w, C) f32
  std::vector<Picture> pictures_;
};

}  // namespace tempera
