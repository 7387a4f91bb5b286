#include "pipeline/stages.h"

#include <algorithm>

#include "base/error.h"
#include "models/clip.h"
#include "models/unet.h"
#include "passes/passes.h"
#include "pipeline/conditioning.h"
#include "pipeline/prompt_tokenizer.h"

namespace tempera {
namespace {

LowerOptions lowering_of(const ProgramOptions& o) {
  LowerOptions lowering;
  lowering.hoist = !o.eager && !o.placement.tight;
  // Flash, on AMX or not, is preferred wherever it can run; only "naive" is a demand.
  if (o.attention == "naive") lowering.exclude = {"attention/flash", "attention/amx"};
  return lowering;
}

Program build(Graph graph, Role role, const Target& target, const ProgramOptions& o) {
  if (!o.eager) graph = optimize(std::move(graph));
  return place(lower(graph, target, lowering_of(o)), role, o.placement, target.alignment);
}

StageSpec text_stage(const ClipConfig& clip, bool pooled, ComponentRef component, const RequestShape& r, size_t runs,
                     const Target& target, const ProgramOptions& o) {
  const ClipGraphOptions graph{.batch = 1,
                               .tokens = o.tokens,
                               .skips = r.text_skips,
                               .pooled = pooled,
                               .extra_tokens = r.words ? extra_rows(o.tokens) : 0,
                               .dtype = o.dtype};
  Program program = build(clip_text_graph(clip, graph), Role::text, target, o);
  program.name = component.name;
  return {program.name, Role::text, std::move(component), {std::move(program)}, {1}, runs};
}

// "unet", "unet_2" for a second pass, "refiner_unet".
std::string denoise_name(const PassShape& pass, size_t number) {
  if (pass.refiner) return "refiner_unet";
  return number == 0 ? "unet" : fmt::format("unet_{}", number + 1);
}

StageSpec denoise_stage(const ModelConfig& model, const RequestShape& r, size_t number, const Target& target,
                        const ProgramOptions& o) {
  const PassShape& pass = r.passes[number];
  const ForwardShape forward{o.images_per_forward, pass.guidance ? o.images_per_forward : 0, pass.slots,
                             pass.guidance_rescale, pass.thresholding};
  const auto images = static_cast<size_t>(r.images), each = static_cast<size_t>(o.images_per_forward);
  const size_t forwards = (images + each - 1) / each;
  const StageComponents components;
  Program program = build_denoise_program(model, pass, target, o, forward);
  program.name = denoise_name(pass, number);
  return {program.name,
          pass.refiner ? Role::refine : Role::denoise,
          pass.refiner ? components.refiner : components.unet,
          {std::move(program)},
          {1},
          forwards * pass.evaluations,
          forwards,
          {},
          number};
}

bool same_size(const PassShape& a, const PassShape& b) {
  return a.latent_width == b.latent_width && a.latent_height == b.latent_height;
}

// The first pass of the size of this one.
size_t first_of_size(const RequestShape& r, size_t pass) {
  const auto at = std::ranges::find_if(r.passes, [&](const PassShape& p) { return same_size(p, r.passes[pass]); });
  return static_cast<size_t>(at - r.passes.begin());
}

// Of the latents of a pass.
StageSpec decode_stage(const ModelConfig& model, const RequestShape& r, size_t number, const Target& target,
                       const ProgramOptions& o) {
  const PassShape& pass = r.passes[number];
  const bool last = same_size(pass, r.last());
  DecoderGraphs decoder =
      decoder_graphs(model.vae, o.decoder, choose_tiles(model.vae, o.decoder, pass.latent_height, pass.latent_width),
                     o.dtype);
  const StageComponents components;
  StageSpec stage{last ? "vae_decoder" : fmt::format("vae_decoder_{}", number + 1), Role::decode,
                  o.decoder.tiny ? components.tiny_vae : components.vae};
  for (Graph& graph : decoder.graphs) stage.programs.push_back(build(std::move(graph), Role::decode, target, o));
  for (size_t i = 0; i < stage.programs.size(); ++i)
    stage.calls.push_back(static_cast<size_t>(std::ranges::count(decoder.tiles.program_of, i)));
  // Pictures between passes are decoded if they are redrawn, or as previews.
  const bool runs = last ? r.decodes : r.redraws;
  stage.pass = number;
  stage.runs = runs ? static_cast<size_t>(r.images) : 0;
  stage.tiles = std::move(decoder.tiles);
  return stage;
}

}  // namespace

RequestShape shape_of(const ResolvedRequest& r) {
  RequestShape shape{.passes = {},
                     .images = r.request.num_images_per_prompt,
                     .encodings = r.encodings,
                     .decodes = r.request.output_type != "latent",
                     .scheduler = r.scheduler,
                     .text_skips = text_skips(r.request),
                     .texts = {texts_of(r, 0).size(), texts_of(r, 1).size()},
                     .words = !r.words.empty()};
  for (const Pass& pass : r.passes) {
    shape.redraws = shape.redraws || (pass.enlarges && r.request.hires_upscaler == kLanczos);
    shape.passes.push_back({.refiner = pass.refiner,
                            .width = pass.width,
                            .height = pass.height,
                            .latent_width = pass.latent_width,
                            .latent_height = pass.latent_height,
                            .guidance = pass.guidance,
                            .guidance_rescale = pass.guidance_rescale,
                            .thresholding = pass.schedule.thresholds(),
                            .blend = pass.blending != Blending::none,
                            .slots = pass.schedule.slots,
                            .evaluations = pass.schedule.evaluations.size()});
  }
  return shape;
}

const StageSpec* Stages::decoder(size_t pass, const RequestShape& r) const {
  const auto at = std::ranges::find_if(list, [&](const StageSpec& stage) {
    return stage.role == Role::decode && stage.pass == first_of_size(r, pass);
  });
  return at == list.end() ? nullptr : &*at;
}

const StageSpec& Stages::denoise(size_t pass) const {
  for (const StageSpec& stage : list)
    if ((stage.role == Role::denoise || stage.role == Role::refine) && stage.pass == pass) return stage;
  fail(ErrorCode::internal, "internal error: no stage for pass {}", pass);
}

const StageSpec* Stages::find(std::string_view name) const {
  const auto at = std::ranges::find(list, name, &StageSpec::name);
  return at == list.end() ? nullptr : &*at;
}

Stages build_text_stages(const ModelConfig& model, const RequestShape& r, const Target& target,
                         const ProgramOptions& o) {
  const StageComponents components;
  Stages stages;
  if (model.text_encoder)
    stages.list.push_back(text_stage(*model.text_encoder, false, components.text_encoder, r, r.texts[0], target, o));
  stages.list.push_back(text_stage(model.text_encoder_2, true, components.text_encoder_2, r, r.texts[1], target, o));
  return stages;
}

Stages build_stages(const ModelConfig& model, const RequestShape& r, const Target& target, const ProgramOptions& o) {
  Stages stages;
  if (o.text) stages = build_text_stages(model, r, target, o);
  for (size_t i = 0; i < r.passes.size(); ++i) {
    stages.list.push_back(denoise_stage(model, r, i, target, o));
    const bool size_ends = i + 1 == r.passes.size() || !same_size(r.passes[i], r.passes[i + 1]);
    if (size_ends && (r.decodes || r.redraws))
      stages.list.push_back(decode_stage(model, r, first_of_size(r, i), target, o));
  }
  return stages;
}

Program build_denoise_program(const ModelConfig& base, const PassShape& pass, const Target& target,
                              const ProgramOptions& o, const ForwardShape& forward) {
  const ModelConfig& model = pass.refiner ? o.refiner.value() : base;
  const DenoiseGraphOptions graph{.images = forward.images,
                                  .guided = forward.guided,
                                  .two_passes = o.two_passes,
                                  .guidance_rescale = forward.guidance_rescale,
                                  .thresholding = forward.thresholding,
                                  .slots = forward.slots,
                                  .unet = {.height = pass.latent_height,
                                           .width = pass.latent_width,
                                           .tokens = o.tokens,
                                           .micro_conditions = model.micro_conditioning_count(),
                                           .dtype = o.dtype}};
  return build(denoise_graph(model.unet, graph), pass.refiner ? Role::refine : Role::denoise, target, o);
}

size_t latent_bytes(const Program& denoise) {
  const TensorDesc& noise = denoise.input("noise").ref.desc;  // of as many pictures, whatever the sampler's slots
  return noise.bytes() / static_cast<size_t>(noise.shape[0]);
}

}  // namespace tempera
