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

StageSpec denoise_stage(const ModelConfig& model, const RequestShape& r, const Target& target,
                        const ProgramOptions& o) {
  const ForwardShape forward{o.images_per_forward,
                             r.guidance ? o.images_per_forward : 0,
                             r.slots,
                             r.guidance_rescale,
                             r.thresholding,
                             r.blend};
  const auto images = static_cast<size_t>(r.images), each = static_cast<size_t>(o.images_per_forward);
  const size_t forwards = (images + each - 1) / each;
  return {"unet",
          Role::denoise,
          StageComponents().unet,
          {build_denoise_program(model, r, target, o, forward)},
          {1},
          forwards * r.evaluations,
          forwards};
}

// One half of the autoencoder, `runs` times for the request.
StageSpec vae_stage(std::string name, Role role, size_t runs, TileGraphs tiled, const Target& target,
                    const ProgramOptions& o) {
  const StageComponents components;
  StageSpec stage{std::move(name), role, o.decoder.tiny ? components.tiny_vae : components.vae};
  for (Graph& graph : tiled.graphs) stage.programs.push_back(build(std::move(graph), role, target, o));
  for (size_t i = 0; i < stage.programs.size(); ++i)
    stage.calls.push_back(static_cast<size_t>(std::ranges::count(tiled.tiles.program_of, i)));
  stage.runs = runs;
  stage.tiles = std::move(tiled.tiles);
  return stage;
}

}  // namespace

RequestShape shape_of(const ResolvedRequest& r) {
  return {.width = r.request.width,
          .height = r.request.height,
          .latent_width = r.latent_width,
          .latent_height = r.latent_height,
          .images = r.request.num_images_per_prompt,
          .guidance = r.guidance,
          .guidance_rescale = r.guidance_rescale,
          .thresholding = r.schedule.thresholds(),
          .blend = r.blending != Blending::none,
          .slots = r.schedule.slots,
          .evaluations = r.schedule.evaluations.size(),
          .scheduler = r.scheduler,
          .text_skips = text_skips(r.request),
          .encodings = r.encodings,
          .texts = {distinct_texts(r, 0), distinct_texts(r, 1)},
          .words = !r.words.empty()};
}

const StageSpec& Stages::only(Role role) const {
  for (const StageSpec& stage : list)
    if (stage.role == role) return stage;
  fail(ErrorCode::internal, "internal error: no stage has the role {}", static_cast<int>(role));
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
  const TileGrid tiles = choose_tiles(model.vae, o.decoder, r.latent_height, r.latent_width);
  if (r.encodings > 0)
    stages.list.push_back(vae_stage(std::string(kEncoderStage), Role::encode, r.encodings,
                                    encoder_graphs(model.vae, o.decoder, tiles, o.dtype), target, o));
  stages.list.push_back(denoise_stage(model, r, target, o));
  stages.list.push_back(vae_stage("vae_decoder", Role::decode, static_cast<size_t>(r.images),
                                  decoder_graphs(model.vae, o.decoder, tiles, o.dtype), target, o));
  return stages;
}

Program build_denoise_program(const ModelConfig& model, const RequestShape& r, const Target& target,
                              const ProgramOptions& o, const ForwardShape& forward) {
  const DenoiseGraphOptions graph{.images = forward.images,
                                  .guided = forward.guided,
                                  .two_passes = o.two_passes,
                                  .guidance_rescale = forward.guidance_rescale,
                                  .thresholding = forward.thresholding,
                                  .blend = forward.blend,
                                  .slots = forward.slots,
                                  .unet = {.height = r.latent_height,
                                           .width = r.latent_width,
                                           .tokens = o.tokens,
                                           .micro_conditions = model.micro_conditioning_count(),
                                           .dtype = o.dtype}};
  return build(denoise_graph(model.unet, graph), Role::denoise, target, o);
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
