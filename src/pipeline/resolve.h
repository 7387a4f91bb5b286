// A request with every default filled in and every limit checked, before any work is done.
#pragma once

#include "models/config.h"
#include "pipeline/blending.h"
#include "sampling/config.h"
#include "sampling/schedule.h"
#include "source/adapters.h"
#include "source/model_source.h"
#include "source/word_embedding.h"
#include "tempera/request.h"

namespace tempera {

// The texts of a request, by text encoder.
struct Prompts {
  std::string positive[2], negative[2];
  bool zero_negative = false;  // no negative prompt was given, and the model then needs zeros
};

struct ResolvedRequest {
  Request request;  // seed, sizes, steps and guidance set
  int latent_width = 0, latent_height = 0;
  Prompts prompts;
  std::vector<WordEmbedding> words;  // of textual_inversion; resolve() opens no files of weights and leaves it empty
  std::vector<AdapterUse> adapters;  // of lora; resolve() opens no files of weights and leaves it empty
  bool guidance = true;              // both branches are computed; never with a UNet that embeds the guidance scale
  bool guidance_rescale = false;
  std::string scheduler;  // for users: the name of a preset, a file, or the class of the model's scheduler
  SchedulerConfig scheduler_config;
  Schedule schedule;
  Blending blending = Blending::none;
  size_t encodings = 0;  // pictures that the autoencoder encodes
};

// The model's own scheduler and its source, for messages.
struct SchedulerSource {
  std::string json;
  std::string origin;
};

// Throws Error(invalid_argument) with the field and its range.
ResolvedRequest resolve(const Request& request, const ModelConfig& model, const SchedulerSource& scheduler,
                        const RequestDefaults& defaults);

}  // namespace tempera
