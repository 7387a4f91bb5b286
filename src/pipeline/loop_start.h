// The beginning of a loop: from encoded pictures, latents of files or of the loop before, to the state of a picture.
// The order of the random draws is that of diffusers' pipelines, so that a seed gives the same picture.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/config.h"
#include "pipeline/init_pictures.h"
#include "pipeline/metadata.h"
#include "pipeline/picture.h"

namespace tempera {

// What some pictures of a request start from. Picture i has entry i modulo their number.
struct StartPicture {
  PreparedPicture prepared = {};  // without an image if the request names latents
  // Results of the encoder (encode_stage.h); empty if the first loop does not need them.
  std::vector<float> encoded = {}, encoded_masked = {};
  std::vector<float> latents = {};  // of Request::latents, (h, w, C)
  std::vector<RecordedInput> files = {};
};

// The inputs of denoise_graph of one picture with a mask, by name: (h, w, channels).
using MaskInputs = std::map<std::string, std::vector<float>, std::less<>>;

// How one picture begins a loop.
struct PictureStart {
  // Slot 0 of the sampler, (h, w, C). Empty: noise that the device draws (LoopStart::noise), or the current latents
  // (LoopStart::latents).
  std::vector<float> state = {};
  MaskInputs mask_inputs = {};
};

// The generators of a picture in its first loop. They have drawn nothing.
struct StartNoise {
  PictureNoise& own;
  // Of another seed (Request::sample_seed): samples the encoded picture. nullptr: `own` does that.
  PictureNoise* sampler = nullptr;
};

// The first loop of a picture. tiny: the tiny autoencoder has encoded the picture; then the results are latents and
// nothing is sampled. from: nullptr without.
PictureStart first_start(const ResolvedRequest& request, const VaeConfig& vae, const TinyVaeConfig* tiny,
                         const StartPicture* from, const StartNoise& noise);

// The seed of the generator that samples the encoded picture of picture `image`, with a mask. files: the number of
// different pictures to start from.
uint64_t sample_seed(const Request& request, int image, size_t files);

// The latents of an encoded picture: a sample of the distribution in `encoded`, or `encoded` itself from a tiny
// autoencoder. normalize: as in scale_latents (posterior.h).
std::vector<float> to_latents(const VaeConfig& vae, const TinyVaeConfig* tiny, std::vector<float> encoded,
                              PictureNoise& noise, bool normalize);

// signal * latents + noise * draw: the coefficients of the first evaluation of the loop (diffusers add_noise).
std::vector<float> with_noise(const Loop& loop, std::vector<float> latents, std::span<const float> draw);

// Enlarged latents of the loop before, for a loop that enlarges: (h, w, C) of `before` to that of `loop`.
std::vector<float> enlarged(const Request& request, const Loop& before, const Loop& loop,
                            std::span<const float> latents);

}  // namespace tempera
