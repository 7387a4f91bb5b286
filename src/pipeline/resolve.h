// A request with every default filled in and every limit checked, before any work is done.
#pragma once

#include "models/config.h"
#include "pipeline/loops.h"
#include "sampling/config.h"
#include "source/adapters.h"
#include "source/model_source.h"
#include "source/word_embedding.h"
#include "tempera/request.h"

namespace tempera {

// The texts of a request, by text encoder.
struct Prompts {
  std::string positive[2], negative[2];
};

struct ResolvedRequest {
  Request request;  // seed, sizes, steps and guidance set
  Prompts prompts;
  std::vector<WordEmbedding> words;  // of textual_inversion; resolve() opens no files of weights and leaves it empty
  std::vector<AdapterUse> adapters;  // of lora; resolve() opens no files of weights and leaves it empty
  std::string scheduler;             // for users: the name of a preset, a file, or the class of the model's scheduler
  SchedulerConfig scheduler_config;
  std::vector<Loop> loops;  // at least one
  size_t encodings = 0;     // of pictures at the size of the first loop; planning.h sets it

  // Whether a loop needs the features of the negative prompt.
  bool encodes_negative() const;
  // The size of the finished latents is that of the last loop.
  const Loop& last() const { return loops.back(); }
};

// The inputs of a request whose files are opened before it is resolved.
struct RequestInputs {
  const ModelConfig* refiner = nullptr;  // of EngineOptions::refiner
  bool pictures = false, masks = false;  // init_image, mask_image or extend
  size_t images = 1;                     // the least number of pictures
  // Width and height in pixels if the request has none: those of its pictures or latents; 0: the model's.
  std::array<int, 2> size = {0, 0};
  bool fixed_size = false;    // another size is a mistake: that of latents
  bool only_prompts = false;  // no picture is drawn: inputs for one need not be there
};

// The model's own scheduler and its source, for messages.
struct SchedulerSource {
  std::string json;
  std::string origin;
};

// Throws Error(invalid_argument) with the field and its range.
ResolvedRequest resolve(const Request& request, const ModelConfig& model, const SchedulerSource& scheduler,
                        const RequestDefaults& defaults, const RequestInputs& inputs);

}  // namespace tempera
