#include "pipeline/programs.h"

#include <algorithm>

#include "models/clip.h"
#include "models/unet.h"
#include "passes/passes.h"
#include "pipeline/conditioning.h"

namespace tempera {
namespace {

Program build(Graph graph, const Target& target, const ProgramOptions& o) {
  LowerOptions lowering;
  lowering.hoist = !o.eager;
  // Flash is preferred wherever it can run; only "naive" is a demand.
  if (o.attention == "naive") lowering.exclude = {"attention/flash"};
  if (!o.eager) graph = optimize(std::move(graph));
  return lower(graph, target, lowering);
}

StagePlan stage(const Program& program, std::string name, size_t runs) {
  StagePlan s;
  s.name = std::move(name);
  s.steps = program.steps.size() - program.prologue;
  s.prologue = program.prologue;
  s.weights = program.memory.weights;
  s.activations = program.memory.arena;
  s.workspace = program.memory.workspace;
  s.io = program.memory.io;
  s.flops = program.flops_step;
  s.flops_prologue = program.flops_prologue;
  s.runs = runs;
  return s;
}

}  // namespace

TextPrograms build_text_programs(const ModelConfig& model, const Request& request, const Target& target,
                                 const ProgramOptions& o) {
  ClipGraphOptions clip{.batch = 1, .tokens = o.tokens, .skips = text_skips(request), .dtype = o.dtype};
  TextPrograms programs;
  if (model.text_encoder) programs.first = build(clip_text_graph(*model.text_encoder, clip), target, o);
  clip.pooled = true;
  programs.second = build(clip_text_graph(model.text_encoder_2, clip), target, o);
  return programs;
}

Programs build_programs(const ModelConfig& model, const ResolvedRequest& r, const Target& target,
                        const ProgramOptions& o) {
  TileGrid grid = choose_tiles(model.vae, o.decoder, r.latent_height, r.latent_width);
  DenoiseGraphOptions denoise{.images = o.images_per_forward,
                              .guidance = r.guidance,
                              .guidance_rescale = r.guidance_rescale,
                              .slots = r.schedule.slots,
                              .unet = {.height = r.latent_height,
                                       .width = r.latent_width,
                                       .tokens = o.tokens,
                                       .micro_conditions = model.micro_conditioning_count(),
                                       .dtype = o.dtype}};
  Programs programs;
  if (o.text) programs.text = build_text_programs(model, r.request, target, o);
  programs.denoise = build(denoise_graph(model.unet, denoise), target, o);
  programs.decoder = build_decoder_programs(model.vae, o.decoder, std::move(grid), o.dtype,
                                            [&](Graph graph) { return build(std::move(graph), target, o); });
  return programs;
}

std::vector<const Program*> all_programs(const TextPrograms& programs) {
  if (!programs.first) return {&programs.second};
  return {&*programs.first, &programs.second};
}

std::vector<const Program*> all_programs(const Programs& programs) {
  std::vector<const Program*> all;
  if (programs.text) all = all_programs(*programs.text);
  all.push_back(&programs.denoise);
  for (const Program& shape : programs.decoder.shapes) all.push_back(&shape);
  return all;
}

size_t scratch_bytes(const std::vector<const Program*>& programs) {
  size_t bytes = 0;
  for (const Program* p : programs) bytes = std::max(bytes, p->memory.arena + p->memory.workspace);
  return bytes;
}

Plan make_plan(const Programs& programs, const ResolvedRequest& r, const Target& target, const ProgramOptions& o) {
  Plan plan;
  plan.device = target.name;
  plan.dtype = name(o.dtype);
  plan.width = r.request.width;
  plan.height = r.request.height;
  plan.scheduler = r.scheduler;

  const auto images = static_cast<size_t>(r.request.num_images_per_prompt);
  const auto forwards =
      (images + static_cast<size_t>(o.images_per_forward) - 1) / static_cast<size_t>(o.images_per_forward);
  if (programs.text) {
    const auto& [first, second] = *programs.text;
    if (first) plan.stages.push_back(stage(*first, "text_encoder", distinct_texts(r, 0)));
    plan.stages.push_back(stage(second, "text_encoder_2", distinct_texts(r, 1)));
  }
  plan.stages.push_back(stage(programs.denoise, "unet", forwards * r.schedule.evaluations.size()));
  plan.stages.push_back(decoder_stage(programs.decoder, images));
  plan.decoder = describe(programs.decoder, o.decoder);

  // Scratch memory is one region; what an earlier stage touched of it stays. The text encoders go, the rest stays.
  size_t kept = 0, scratch = 0;
  MemoryPlan& m = plan.memory;
  for (const StagePlan& s : plan.stages) {
    plan.flops += s.flops * static_cast<double>(s.runs) + s.flops_prologue * static_cast<double>(forwards);
    scratch = std::max(scratch, s.activations + s.workspace);
    const size_t peak = kept + s.weights + s.io + scratch + target.overhead;
    if (peak > m.peak_bytes)
      m = {kept + s.weights, scratch - s.workspace, s.workspace, s.io, target.overhead, peak, s.name};
    if (s.name == "unet") kept += s.weights + s.io;
  }
  return plan;
}

}  // namespace tempera
