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
std::string denoise_name(const LoopShape& loop, size_t number) {
  if (loop.refiner) return "refiner_unet";
  return number == 0 ? "unet" : fmt::format("unet_{}", number + 1);
}

StageSpec denoise_stage(const ModelConfig& model, const RequestShape& r, size_t number, const Target& target,
                        const ProgramOptions& o) {
  const LoopShape& loop = r.loops[number];
  const ForwardShape forward{o.images_per_forward, loop.guidance ? o.images_per_forward : 0,
                             loop.slots,           loop.guidance_rescale,
                             loop.thresholding,    loop.blend};
  const auto images = static_cast<size_t>(r.images), each = static_cast<size_t>(o.images_per_forward);
  const size_t forwards = (images + each - 1) / each;
  const StageComponents components;
  StageSpec stage{denoise_name(loop, number), loop.refiner ? Role::refine : Role::denoise,
                  loop.refiner ? components.refiner : components.unet};
  stage.programs.push_back(build_denoise_program(model, loop, target, o, forward));
  stage.programs.front().name = stage.name;
  stage.calls = {1};
  stage.runs = forwards * loop.evaluations;
  stage.prologue_runs = forwards;
  stage.loop = number;
  return stage;
}

bool same_size(const LoopShape& a, const LoopShape& b) {
  return a.latent_width == b.latent_width && a.latent_height == b.latent_height;
}

// The first loop of the size of this one.
size_t first_of_size(const RequestShape& r, size_t loop) {
  const auto at = std::ranges::find_if(r.loops, [&](const LoopShape& p) { return same_size(p, r.loops[loop]); });
  return static_cast<size_t>(at - r.loops.begin());
}

// One half of the autoencoder at the size of a loop, `runs` times for the request.
StageSpec vae_stage(Role role, const ModelConfig& model, const RequestShape& r, size_t number, size_t runs,
                    const Target& target, const ProgramOptions& o) {
  const LoopShape& loop = r.loops[number];
  const TileGrid grid = choose_tiles(model.vae, o.decoder, loop.latent_height, loop.latent_width);
  const bool encodes = role == Role::encode, usual = encodes ? number == 0 : same_size(loop, r.last());
  TileGraphs tiled = encodes ? encoder_graphs(model.vae, o.decoder, grid, o.dtype)
                             : decoder_graphs(model.vae, o.decoder, grid, o.dtype);
  const StageComponents components;
  const std::string_view name = encodes ? kEncoderStage : "vae_decoder";
  StageSpec stage{usual ? std::string(name) : fmt::format("{}_{}", name, number + 1), role,
                  o.decoder.tiny ? components.tiny_vae : components.vae};
  for (Graph& graph : tiled.graphs) stage.programs.push_back(build(std::move(graph), role, target, o));
  for (size_t i = 0; i < stage.programs.size(); ++i)
    stage.calls.push_back(static_cast<size_t>(std::ranges::count(tiled.tiles.program_of, i)));
  stage.runs = runs;
  stage.tiles = std::move(tiled.tiles);
  stage.loop = number;
  return stage;
}

}  // namespace

RequestShape shape_of(const ResolvedRequest& r) {
  RequestShape shape{.loops = {},
                     .images = r.request.num_images_per_prompt,
                     .encodings = r.encodings,
                     .decodes = r.request.output_type != "latent",
                     .scheduler = r.scheduler,
                     .text_skips = text_skips(r.request),
                     .texts = {texts_of(r, 0).size(), texts_of(r, 1).size()},
                     .words = !r.words.empty()};
  for (const Loop& loop : r.loops) {
    shape.redraws = shape.redraws || (loop.enlarges && r.request.hires_upscaler == kLanczos);
    shape.loops.push_back({.refiner = loop.refiner,
                           .width = loop.width,
                           .height = loop.height,
                           .latent_width = loop.latent_width,
                           .latent_height = loop.latent_height,
                           .guidance = loop.guidance,
                           .guidance_rescale = loop.guidance_rescale,
                           .thresholding = loop.schedule.thresholds(),
                           .blend = loop.blending != Blending::none,
                           .slots = loop.schedule.slots,
                           .evaluations = loop.schedule.evaluations.size()});
  }
  return shape;
}

const StageSpec* Stages::decoder(size_t loop, const RequestShape& r) const {
  return of_size(Role::decode, loop, r);
}

const StageSpec* Stages::encoder(size_t loop, const RequestShape& r) const {
  return of_size(Role::encode, loop, r);
}

const StageSpec* Stages::of_size(Role role, size_t loop, const RequestShape& r) const {
  const auto at = std::ranges::find_if(
      list, [&](const StageSpec& stage) { return stage.role == role && stage.loop == first_of_size(r, loop); });
  return at == list.end() ? nullptr : &*at;
}

const StageSpec& Stages::denoise(size_t loop) const {
  for (const StageSpec& stage : list)
    if ((stage.role == Role::denoise || stage.role == Role::refine) && stage.loop == loop) return stage;
  fail(ErrorCode::internal, "internal error: no stage for loop {}", loop);
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
  const auto images = static_cast<size_t>(r.images);
  if (r.encodings > 0) stages.list.push_back(vae_stage(Role::encode, model, r, 0, r.encodings, target, o));
  for (size_t i = 0; i < r.loops.size(); ++i) {
    stages.list.push_back(denoise_stage(model, r, i, target, o));
    const bool last = i + 1 == r.loops.size();
    if (!last && same_size(r.loops[i], r.loops[i + 1])) continue;
    // Pictures between loops are decoded if they are redrawn, and as previews.
    if (r.decodes || r.redraws) {
      const bool runs = last ? r.decodes : r.redraws;
      stages.list.push_back(vae_stage(Role::decode, model, r, first_of_size(r, i), runs ? images : 0, target, o));
    }
    if (!last && r.redraws) stages.list.push_back(vae_stage(Role::encode, model, r, i + 1, images, target, o));
  }
  return stages;
}

Program build_denoise_program(const ModelConfig& base, const LoopShape& loop, const Target& target,
                              const ProgramOptions& o, const ForwardShape& forward) {
  const ModelConfig& model = loop.refiner ? o.refiner.value() : base;
  const DenoiseGraphOptions graph{.images = forward.images,
                                  .guided = forward.guided,
                                  .two_passes = o.two_passes,
                                  .guidance_rescale = forward.guidance_rescale,
                                  .thresholding = forward.thresholding,
                                  .blend = forward.blend,
                                  .slots = forward.slots,
                                  .unet = {.height = loop.latent_height,
                                           .width = loop.latent_width,
                                           .tokens = o.tokens,
                                           .micro_conditions = model.micro_conditioning_count(),
                                           .dtype = o.dtype}};
  return build(denoise_graph(model.unet, graph), loop.refiner ? Role::refine : Role::denoise, target, o);
}

std::vector<IoSlot> mask_inputs(const Program& denoise) {
  std::vector<IoSlot> inputs;
  for (const IoSlot& input : denoise.inputs)
    if (input.name == "original" || input.name == "start_noise" || input.name == "mask" ||
        input.name == "inpaint_condition")
      inputs.push_back(input);
  return inputs;
}

size_t latent_bytes(const Program& denoise) {
  const TensorDesc& noise = denoise.input("noise").ref.desc;  // of as many pictures, whatever the sampler's slots
  return noise.bytes() / static_cast<size_t>(noise.shape[0]);
}

}  // namespace tempera
